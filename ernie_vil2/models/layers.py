"""Arithmetic that both towers share: attention, activations, stochastic depth, initial values."""

import math
from collections.abc import Iterable

import paddle
import paddle.nn.functional as F
from paddle import nn

from ..device import device_of
from . import masks
from .kernels.activations import ACTIVATED
from .kernels.attention import AttentionOnCPU
from .kernels.linear import ActivatedLinearOnCPU, LinearOnCPU
from .kernels.norm import LayerNormOnCPU
from .recompute import run_again


def quick_gelu(x: paddle.Tensor) -> paddle.Tensor:
    """x * sigmoid(1.702 x), as OpenAI's CLIP and the release; written with swish, which is one kernel less.

    Not with silu, the same function: its gradient on a CPU is nan below -88 (Paddle 3.3.1).
    """
    return F.swish(x * 1.702) * (1 / 1.702)


def size_of(x: paddle.Tensor, axis: int) -> int | paddle.Tensor:
    """Length of an axis; where the graph of a tower is traced for any batch, a tensor for an axis that is not known."""
    size = x.shape[axis]
    return paddle.shape(x)[axis] if size < 0 else size


WORTHWHILE = 1 << 13
"""Outputs of a Linear from which its own gradient on a CPU saves more than the calls from C++ to Python cost"""
WORTHWHILE_BY_PIECES = 1 << 16
"""Values from which layers that NumPy computes piece by piece do"""
WORTHWHILE_SCORES = 1 << 21
"""Scores from which attention does"""
ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": F.gelu, "relu": F.relu}


def own_kernels(x: paddle.Tensor) -> bool:
    """Whether a layer in training computes by `kernels`: in float32 on a CPU."""
    return device_of(x).is_cpu and x.dtype == paddle.float32


def attention(
    query: paddle.Tensor,
    key: paddle.Tensor,
    value: paddle.Tensor,
    bias: paddle.Tensor | None = None,
    dropout: float = 0.0,
    training: bool = False,
) -> paddle.Tensor:
    """Multi-head attention.

    query, key, value: [B, N, H, D]; bias: added to the scores, broadcast to [B, H, N, N], or None.
    Returns [B, N, H * D]. On a GPU this is Paddle's fused kernel, which never holds the N x N scores; on a CPU the
    plain form is faster, or in training the one of `kernels` (docs/architecture.md, "CPU settings").
    """
    heads, depth = query.shape[2:]
    dropout = dropout if training else 0.0
    if device_of(query).fused_attention:
        if bias is not None:  # the fused kernels want a row of the mask for every query
            batch, length = query.shape[:2]
            bias = bias.astype(query.dtype).expand([batch, heads, length, length])
        mixed = F.scaled_dot_product_attention(query, key, value, attn_mask=bias, dropout_p=dropout, training=training)
        return mixed.reshape([0, 0, heads * depth])
    if training and own_attention(query, heads * key.shape[1], bias):
        return AttentionOnCPU.apply(bias, dropout, query, key, value)
    return plain_attention(query, key, value, bias, dropout)


def plain_attention(
    query: paddle.Tensor, key: paddle.Tensor, value: paddle.Tensor, bias: paddle.Tensor | None, dropout: float
) -> paddle.Tensor:
    """`attention`, kernel by kernel."""
    heads, depth = query.shape[2:]
    query, key, value = (paddle.transpose(part, [0, 2, 1, 3]) for part in (query * depth**-0.5, key, value))
    scores = paddle.matmul(query, key, transpose_y=True)
    if bias is not None:
        scores = scores + bias
    weights = F.softmax(scores)
    if dropout:
        weights = masks.dropout(weights, dropout)
    mixed = paddle.matmul(weights, value)
    return paddle.transpose(mixed, [0, 2, 1, 3]).reshape([0, 0, heads * depth])


def self_attention(
    parts: paddle.Tensor, bias: paddle.Tensor | None = None, dropout: float = 0.0, training: bool = False
) -> paddle.Tensor:
    """`attention` of query, key and value that stand side by side, [B, N, 3, H, D], as one Linear gives them."""
    if training and own_attention(parts, parts.shape[3] * parts.shape[1], bias):
        return AttentionOnCPU.apply(bias, dropout, parts)
    return attention(*parts.unbind(2), bias, dropout, training)


def own_attention(x: paddle.Tensor, row: int, bias: paddle.Tensor | None) -> bool:
    """Whether the attention of tokens x [B, N, ...], with `row` scores of a token, has its own gradient."""
    return (
        x.shape[0] * x.shape[1] * row >= WORTHWHILE_SCORES and own_kernels(x) and (bias is None or bias.stop_gradient)
    )


class Linear(nn.Linear):
    """nn.Linear, [..., in] -> [..., out], with a faster gradient on a CPU where there is enough to compute."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        if self.own_gradient(x, WORTHWHILE):
            return LinearOnCPU.apply(x, self.weight, self.bias)
        return super().forward(x)

    def activated(self, x: paddle.Tensor, activation: str) -> paddle.Tensor:
        """The activation, by its name, of the outputs: [..., in] -> [..., out]."""
        if type(self) is Linear and activation in ACTIVATED and self.own_gradient(x, WORTHWHILE_BY_PIECES):
            return ActivatedLinearOnCPU.apply(x, self.weight, self.bias, ACTIVATED[activation])
        return ACTIVATIONS[activation](self(x))

    def own_gradient(self, x: paddle.Tensor, least: int) -> bool:
        """Whether this layer computes its own gradient of at least so many outputs."""
        outputs = math.prod(x.shape[:-1]) * self.weight.shape[1]
        return self.training and self.bias is not None and x.ndim > 1 and outputs >= least and own_kernels(x)


class LayerNorm(nn.LayerNorm):
    """nn.LayerNorm over the last axis, [..., W] -> the same, with a faster gradient on a CPU where there is enough to
    compute."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        if self.training and math.prod(x.shape) >= WORTHWHILE_BY_PIECES and own_kernels(x):
            return LayerNormOnCPU.apply(x, self.weight, self.bias, self._epsilon)
        return super().forward(x)


def run_blocks(
    blocks: Iterable[nn.Layer], x: paddle.Tensor, *others: paddle.Tensor, recompute: bool = False
) -> paddle.Tensor:
    """x through the blocks; with `recompute` a block keeps its input only and runs again in the backward pass."""
    for block in blocks:
        x = run_again(block, x, *others) if recompute else block(x, *others)
    return x


class DropPath(nn.Layer):
    """Stochastic depth: the residual branch of a sample is dropped with probability `rate`, the rest scaled up."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return masks.drop_rows(x, self.rate) if self.training and self.rate else x


def drop_path_rates(last: float, depth: int) -> list[float]:
    """Rates rising linearly from 0 in the first block to `last` in the last one."""
    return [last * index / max(depth - 1, 1) for index in range(depth)]


def initialise(model: nn.Layer, std: float = 0.02) -> None:
    """Random starting values: Glorot normal for Linear and patch weights, as in the vision transformer's paper
    (arXiv 2010.11929), truncated normal of `std` for embeddings and positions, zero biases, ones for what else
    has one axis. A layer with `starting_values()` sets its own instead."""
    embedding = nn.initializer.TruncatedNormal(std=std)
    constant = {"bias": nn.initializer.Constant(0.0), "weight": nn.initializer.Constant(1.0)}
    own = {f"{name}.": layer for name, layer in model.named_sublayers() if hasattr(layer, "starting_values")}
    for layer in own.values():
        layer.starting_values()
    for name, parameter in model.named_parameters():
        if name.startswith(tuple(own)):
            continue
        last = name.rsplit(".", 1)[-1]
        if last in ("temperature_b", "bias_b"):
            continue
        if parameter.ndim < 2:
            constant.get(last, constant["weight"])(parameter)
        elif last == "weight" and "_emb." not in name:
            fan_out, fan_in = parameter.shape[0], math.prod(parameter.shape[1:])
            nn.initializer.TruncatedNormal(std=math.sqrt(2.0 / (fan_in + fan_out)))(parameter)
        else:
            embedding(parameter)

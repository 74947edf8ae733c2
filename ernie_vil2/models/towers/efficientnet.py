"""The convolutional image tower: an EfficientNet, global average pool, dropout, Linear and tanh.

Architecture: arXiv 1905.11946, squeeze and excitation arXiv 1709.01507; the arithmetic is that of PaddleClas's and
timm's models, and `checkpoints/layouts/efficientnet.py` knows their keys. It is `swish` and not `silu`, the same
function, because the gradient of Paddle's silu on a CPU is NaN below -88.
"""

import math

import paddle
import paddle.nn.functional as F
from paddle import nn

from ...config.tower_fields import EfficientNetConfig, MBConv
from ..layers import DropPath, Linear, drop_path_rates, run_blocks
from ..masks import Dropout
from .batch_norm import BatchNorm, frozen_or_not


def convolution(
    config: EfficientNetConfig, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1
) -> nn.Conv2D:
    """A bias-free Conv2D with the padding of the configuration."""
    padding = "SAME" if config.padding == "same" else kernel // 2
    return nn.Conv2D(inputs, outputs, kernel, stride, padding, groups=groups, bias_attr=False)


def batch_norm(config: EfficientNetConfig, channels: int) -> nn.Layer:
    """The batch norm of a tower, with frozen statistics where the configuration says so."""
    unbiased = config.norm_variance == "unbiased"
    return frozen_or_not(BatchNorm(channels, config.norm_momentum, config.epsilon, unbiased), config.batch_norm)


class Block(nn.Layer):
    """MBConv: expand, depthwise convolution, squeeze and excitation, project: [B, C, h, w] -> [B, C', h', w'].

    `shape` is its `config.tower_fields.MBConv`; there is a residual connection where input and output have one shape.
    """

    def __init__(self, config: EfficientNetConfig, shape: MBConv, drop_path: float):
        super().__init__()
        kernel, stride, inputs, hidden, outputs = shape
        self.expand_conv = self.expand_norm = None
        if hidden != inputs:
            self.expand_conv = convolution(config, inputs, hidden, 1)
            self.expand_norm = batch_norm(config, hidden)
        self.depthwise_conv = convolution(config, hidden, hidden, kernel, stride, groups=hidden)
        self.depthwise_norm = batch_norm(config, hidden)
        self.squeeze = nn.Conv2D(hidden, inputs // 4, 1)
        self.excite = nn.Conv2D(inputs // 4, hidden, 1)
        self.project_conv = convolution(config, hidden, outputs, 1)
        self.project_norm = batch_norm(config, outputs)
        self.residual = stride == 1 and inputs == outputs
        self.drop_path = DropPath(drop_path)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        first = x
        if self.expand_conv is not None:
            x = F.swish(self.expand_norm(self.expand_conv(x)))
        x = F.swish(self.depthwise_norm(self.depthwise_conv(x)))
        gate = self.excite(F.swish(self.squeeze(x.mean([2, 3], keepdim=True))))
        x = self.project_norm(self.project_conv(x * F.sigmoid(gate)))
        return first + self.drop_path(x) if self.residual else x


class EfficientNet(nn.Layer):
    """pixels float32 [B, 3, S, S'] of any size -> raw embedding [B, D]: tanh(Linear(pooled features)), or the pooled
    features where there is no projection. `features` gives the feature map."""

    def __init__(self, config: EfficientNetConfig):
        super().__init__()
        self.recompute = False
        shapes = config.blocks()
        self.stem_conv = convolution(config, 3, config.stem, 3, stride=2)
        self.stem_norm = batch_norm(config, config.stem)
        rates = drop_path_rates(config.drop_path, len(shapes))
        self.blocks = nn.LayerList([Block(config, shape, rate) for shape, rate in zip(shapes, rates, strict=True)])
        self.head_conv = convolution(config, shapes[-1].outputs, config.width, 1)
        self.head_norm = batch_norm(config, config.width)
        self.dropout = Dropout(config.dropout)
        self.proj = Linear(config.width, config.projection) if config.projection else None

    def features(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """The feature map after the head convolution: [B, 3, S, S'] -> [B, C, ceil(S / 32), ceil(S' / 32)]."""
        x = F.swish(self.stem_norm(self.stem_conv(pixels)))
        x = run_blocks(self.blocks, x, recompute=self.recompute and self.training)
        return F.swish(self.head_norm(self.head_conv(x)))

    def tokens(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """The places of the feature map, row by row: [B, 3, S, S'] -> [B, h x w, C]."""
        return self.features(pixels).flatten(2).transpose([0, 2, 1])

    def forward(self, pixels: paddle.Tensor) -> paddle.Tensor:
        pooled = self.features(pixels).mean([2, 3])
        return pooled if self.proj is None else paddle.tanh(self.proj(self.dropout(pooled)))

    def starting_values(self) -> None:
        """Random starting values: normal of variance 2 / fan-out for convolutions, as in the paper's own code, Glorot
        normal for the Linear; the statistics are those of unit variance."""
        for layer in self.sublayers():
            if isinstance(layer, nn.Conv2D):
                fan_out = layer.weight.shape[0] * math.prod(layer.weight.shape[2:]) // layer._groups
                nn.initializer.Normal(0.0, math.sqrt(2.0 / fan_out))(layer.weight)
            elif isinstance(layer, nn.Linear):
                nn.initializer.XavierNormal()(layer.weight)
            elif isinstance(layer, nn.BatchNorm2D):
                nn.initializer.Constant(1.0)(layer.weight)
            if getattr(layer, "bias", None) is not None:
                nn.initializer.Constant(0.0)(layer.bias)

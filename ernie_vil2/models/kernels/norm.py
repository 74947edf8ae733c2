"""Layer norm, whose gradient Paddle computes value by value."""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer, PyLayerContext

from .arrays import array_of, empty, pieces
from .linear import wanted


class LayerNormOnCPU(PyLayer):
    """x [..., W] -> the same, each row with mean 0 and variance 1, scaled and shifted."""

    @staticmethod
    def forward(
        ctx: PyLayerContext, x: paddle.Tensor, weight: paddle.Tensor, bias: paddle.Tensor, epsilon: float
    ) -> paddle.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.wanted, ctx.epsilon = wanted(x, weight, bias), epsilon
        return F.layer_norm(x, x.shape[-1], weight, bias, epsilon)

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        x, weight = ctx.saved_tensor()
        width = x.shape[-1]
        of_x, of_weight, of_bias = empty(x.shape), paddle.zeros([width], "float32"), paddle.zeros([width], "float32")
        sums, scale = (array_of(of_weight), array_of(of_bias)), array_of(weight)
        rows, given, found = (array_of(tensor).reshape(-1, width) for tensor in (x, gradient, of_x))
        with np.errstate(all="ignore"):
            for piece in pieces(*rows.shape):
                of_rows(rows[piece], given[piece], scale, ctx.epsilon, found[piece], *sums)
        gradients = zip((of_x, of_weight, of_bias), ctx.wanted, strict=True)
        return tuple(value if asked else None for value, asked in gradients)


def of_rows(
    x: np.ndarray,
    gradient: np.ndarray,
    scale: np.ndarray,
    epsilon: float,
    result: np.ndarray,
    of_weight: np.ndarray,
    of_bias: np.ndarray,
) -> None:
    """Write the gradient of rows x [n, W] into `result`, and add those of weight and bias [W] to what is there."""
    width = x.shape[1]
    centred = x - np.einsum("nw->n", x)[:, None] / width
    variance = np.einsum("nw,nw->n", centred, centred)[:, None] / width
    spread = 1.0 / np.sqrt(variance + np.float32(epsilon))
    np.multiply(gradient, centred, out=result)
    of_weight += np.einsum("nw,n->w", result, spread[:, 0])
    of_bias += np.einsum("nw->w", gradient)
    slope = np.einsum("nw,w->n", result, scale)[:, None] * (spread * spread / width)
    level = np.einsum("nw,w->n", gradient, scale)[:, None] / width
    np.multiply(gradient, scale, out=result)
    np.multiply(centred, slope, out=centred)
    np.subtract(result, centred, out=result)
    np.subtract(result, level, out=result)
    np.multiply(result, spread, out=result)

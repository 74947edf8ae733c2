"""Layer norm, whose gradient Paddle computes value by value."""

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer, PyLayerContext

from .arrays import array_of, empty, pieces
from .linear import wanted


class LayerNormOnCPU(PyLayer):
    """x [..., W] -> the same, each row with mean 0 and variance 1, scaled and shifted; it keeps x alone."""

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
        result, of_weight, of_bias = empty(x.shape), paddle.zeros([width], "float32"), paddle.zeros([width], "float32")
        sums = array_of(of_weight), array_of(of_bias)
        rows, given, found = (array_of(tensor).reshape(-1, width) for tensor in (x, gradient, result))
        scale = array_of(weight)
        with np.errstate(all="ignore"):
            for piece in pieces(*rows.shape):
                of_rows(rows[piece], given[piece], scale, ctx.epsilon, found[piece], *sums)
        return tuple(
            value if asked else None for value, asked in zip((result, of_weight, of_bias), ctx.wanted, strict=True)
        )


def of_rows(
    x: np.ndarray,
    gradient: np.ndarray,
    scale: np.ndarray,
    epsilon: float,
    result: np.ndarray,
    of_weight: np.ndarray,
    of_bias: np.ndarray,
) -> None:
    """Write the gradient of the rows x [n, W] into `result`, and add those of weight and bias [W] to what is there."""
    width = x.shape[1]
    normal = x - np.einsum("nw->n", x)[:, None] / width
    variance = np.einsum("nw,nw->n", normal, normal)[:, None] / width
    spread = 1.0 / np.sqrt(variance + np.float32(epsilon))
    np.multiply(normal, spread, out=normal)
    np.multiply(gradient, normal, out=result)
    of_weight += np.einsum("nw->w", result)
    of_bias += np.einsum("nw->w", gradient)
    slope = np.einsum("nw,w->n", result, scale)[:, None] / width
    level = np.einsum("nw,w->n", gradient, scale)[:, None] / width
    np.multiply(gradient, scale, out=result)
    np.multiply(normal, slope, out=normal)
    np.subtract(result, normal, out=result)
    np.subtract(result, level, out=result)
    np.multiply(result, spread, out=result)

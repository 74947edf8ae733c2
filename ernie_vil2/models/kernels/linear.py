"""x W + b, alone and with the activation that follows."""

from collections.abc import Callable

import numpy as np
import paddle
from paddle.autograd import PyLayer, PyLayerContext

from .arrays import array_of, empty, pieces

Activation = Callable[[np.ndarray, np.ndarray], object]
"""Writes the slope at every value of the first array into the second, and the activated values over the first"""


class LinearOnCPU(PyLayer):
    """x W + b, [..., in] -> [..., out], whose bias gradient is a matrix product: Paddle's CPU reduction costs half as
    much as the whole layer."""

    @staticmethod
    def forward(ctx: PyLayerContext, x: paddle.Tensor, weight: paddle.Tensor, bias: paddle.Tensor) -> paddle.Tensor:
        ctx.save_for_backward(x, weight)
        ctx.wanted = wanted(x, weight, bias)
        y = paddle.matmul(x, weight)
        values = array_of(y)
        np.add(values, array_of(bias), out=values)
        return y

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        return gradients(*ctx.saved_tensor(), gradient, ctx.wanted)


class ActivatedLinearOnCPU(PyLayer):
    """activation(x W + b), [..., in] -> [..., out]; the slope of the activation is kept instead of what it is given, so
    that the way back is one product."""

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: paddle.Tensor,
        weight: paddle.Tensor,
        bias: paddle.Tensor,
        make: Callable[[], Activation],
    ) -> paddle.Tensor:
        """make: gives the activation, with the space that it needs for a piece."""
        y = paddle.matmul(x, weight)
        slope = empty(y.shape)
        values, slopes = (array_of(tensor).reshape(-1, y.shape[-1]) for tensor in (y, slope))
        offset, activate = array_of(bias), make()
        with np.errstate(all="ignore"):
            for piece in pieces(*values.shape):
                part = values[piece]
                np.add(part, offset, out=part)
                activate(part, slopes[piece])
        ctx.save_for_backward(x, weight, slope)
        ctx.wanted = wanted(x, weight, bias)
        return y

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        x, weight, slope = ctx.saved_tensor()
        before = empty(slope.shape)
        with np.errstate(all="ignore"):
            np.multiply(array_of(gradient), array_of(slope), out=array_of(before))
        return gradients(x, weight, before, ctx.wanted)


def wanted(*tensors: paddle.Tensor) -> list[bool]:
    """Which tensors learn: Paddle refuses gradients of the others."""
    return [not tensor.stop_gradient for tensor in tensors]


def gradients(
    x: paddle.Tensor, weight: paddle.Tensor, gradient: paddle.Tensor, asked: list[bool]
) -> tuple[paddle.Tensor | None, ...]:
    """Gradients of x, weight and bias, of those that are asked for, from that of x W + b."""
    rows = gradient.reshape([-1, gradient.shape[-1]])
    of_x, of_weight, of_bias = asked
    return (
        paddle.matmul(gradient, weight, transpose_y=True) if of_x else None,
        paddle.matmul(x.reshape([-1, x.shape[-1]]), rows, transpose_x=True) if of_weight else None,
        paddle.matmul(paddle.ones([1, rows.shape[0]], rows.dtype), rows).flatten() if of_bias else None,
    )

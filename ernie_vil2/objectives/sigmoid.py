"""The sigmoid loss (SigLIP, arXiv 2303.15343) over tiles of logits, which are never kept.

Nothing in it needs a whole row, so the gradient is worked out in closed form while the logits of a tile are there.
"""

import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

from .comparison import Comparison
from .info_nce import Products
from .log_sums import softplus
from .tiles import cast


class SigmoidLoss(PyLayer):
    """Sum over rows and columns of softplus(-sign * (scale x . y + bias))."""

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: paddle.Tensor,
        y: paddle.Tensor,
        scale: paddle.Tensor,
        bias: paddle.Tensor,
        comparison: Comparison,
    ) -> paddle.Tensor:
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, y, scale, bias)]
        loss, dscale, dbias = paddle.zeros([]), paddle.zeros_like(scale), paddle.zeros_like(bias)
        sides = Products(x if ctx.wanted[0] else None, y if ctx.wanted[1] else None)
        for tile in comparison.tiles(x, y, scale):
            logits, sign = cast(tile.logits[0], paddle.float32), -1.0
            if tile.same is not None:
                sign = cast(tile.same[0], paddle.float32) * 2.0 - 1.0
                logits = paddle.maximum(logits, cast(tile.logits[1], paddle.float32))
            distance = (logits + bias) * sign
            loss += softplus(-distance).sum()
            slope = F.sigmoid(-distance) * -sign
            dscale += (slope * logits).sum() / scale
            dbias += slope.sum()
            sides.add(x, y, slope, tile.rows, tile.columns)
        sides.scale(scale)
        ctx.found = [sides.of_x, sides.of_y, dscale, dbias]
        return loss

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        return tuple(found * gradient if wanted else None for found, wanted in zip(ctx.found, ctx.wanted, strict=True))


def sigmoid_loss(
    comparison: Comparison, x: paddle.Tensor, y: paddle.Tensor, scale: paddle.Tensor, bias: paddle.Tensor
) -> paddle.Tensor:
    """Scalar: rows x [b, D] against columns y [B, D], summed; scale and bias [1]."""
    return SigmoidLoss.apply(x, y, scale, bias, comparison)

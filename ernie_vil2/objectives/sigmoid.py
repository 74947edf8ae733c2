"""The sigmoid loss (SigLIP, arXiv 2303.15343) in blocks of columns, whose logits are never kept.

The gradient of a block is worked out in closed form while its logits are there, so memory is b x CHUNK, not b x B.
"""

import paddle
import paddle.nn.functional as F
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

CHUNK = 1024


class SigmoidLoss(PyLayer):
    """Sum over rows and columns of softplus(-sign * (scale x . y + bias))."""

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: paddle.Tensor,
        y: paddle.Tensor,
        scale: paddle.Tensor,
        bias: paddle.Tensor,
        same: paddle.Tensor,
        here: paddle.Tensor,
        there: paddle.Tensor,
    ) -> paddle.Tensor:
        total, dx, dys = paddle.zeros([1]), paddle.zeros_like(x), []
        dscale, dbias = paddle.zeros_like(scale), paddle.zeros_like(bias)
        used, columns = here.astype("float32")[:, None], there.astype("float32")
        for start in range(0, y.shape[0], CHUNK):
            part = slice(start, start + CHUNK)
            block = y[part]
            sign = same[:, part].astype("float32") * 2.0 - 1.0
            weight = used * columns[part]
            cosine = paddle.matmul(x, block, transpose_y=True)
            logits = (cosine * scale + bias) * sign
            total += (F.softplus(-logits) * weight).sum()
            slope = -F.sigmoid(-logits) * sign * weight
            dx += paddle.matmul(slope, block) * scale
            dys.append(paddle.matmul(slope, x, transpose_x=True) * scale)
            dscale += (slope * cosine).sum()
            dbias += slope.sum()
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, y, scale, bias)]
        ctx.save_for_backward(dx, paddle.concat(dys), dscale, dbias)
        return total.sum()

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        parts = zip(ctx.saved_tensor(), ctx.wanted, strict=True)  # Paddle wants None for what needs no gradient
        return tuple(part * gradient if wanted else None for part, wanted in parts)


def sigmoid_loss(
    x: paddle.Tensor,
    y: paddle.Tensor,
    scale: paddle.Tensor,
    bias: paddle.Tensor,
    same: paddle.Tensor,
    here: paddle.Tensor,
    there: paddle.Tensor,
) -> paddle.Tensor:
    """Scalar: rows x [b, D] against columns y [B, D], summed; scale and bias [1]; same bool [b, B] marks positives,
    here bool [b] and there bool [B] the rows and columns that take part; all tensors."""
    return SigmoidLoss.apply(x, y, scale, bias, same, here, there)

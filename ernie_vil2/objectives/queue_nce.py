"""InfoNCE against a queue, as MoCo (arXiv 1911.05722) and BriVL have it: a query, its own key, and the queue's columns.

Keys of the batch at hand are no negatives of each other's samples. Under `positives: by_id` a column of the same image
or the same text is left out.
"""

import paddle
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

from .comparison import Comparison
from .info_nce import add_products
from .log_sums import CrossEntropy, LogSums, Tile, concatenated, sums_of
from .tiles import cast, wide


def row_sums(
    comparison: Comparison, x: paddle.Tensor, columns: paddle.Tensor, scale: paddle.Tensor, key: paddle.Tensor
) -> LogSums:
    """Of x [b, D] with the columns [K, D] as negatives and its own row of key [b, D] as the only positive."""
    parts: dict[int, LogSums] = {}
    for tile in comparison.tiles(x, columns, scale):
        found = sums_of(Tile(tile.rows, tile.columns, tile.negatives), 1)
        before = parts.get(tile.rows.start)
        parts[tile.rows.start] = found if before is None else before.joined(found)
    negatives, kind = concatenated(list(parts.values())), wide()
    own = (cast(x, kind) * cast(key, kind)).sum(1) * cast(scale, kind)
    one, none = paddle.ones_like(own), paddle.zeros_like(own)
    return LogSums(
        paddle.stack([negatives.maxima[0], own]),
        paddle.stack([negatives.sums[0], one, negatives.sums[2], none, own, one]),
    )


class QueueNCE(PyLayer):
    """Cross entropies of rows, summed; keys and queue have no gradient."""

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: paddle.Tensor,
        scale: paddle.Tensor,
        key: paddle.Tensor,
        columns: paddle.Tensor,
        comparison: Comparison,
    ) -> paddle.Tensor:
        by_row = CrossEntropy(row_sums(comparison, x, columns, scale, key), comparison.here)
        ctx.found, ctx.wanted = (comparison, by_row), [not tensor.stop_gradient for tensor in (x, scale)]
        ctx.save_for_backward(x, scale, key, columns, cast(by_row.slopes.sum(), "float32") / scale)
        return cast(by_row.losses.sum(), "float32")

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        comparison, by_row = ctx.found
        x, scale, key, columns, slope = ctx.saved_tensor()
        dx = None
        if ctx.wanted[0]:
            dx = key * by_row.of_same.unsqueeze(1)
            for tile in comparison.tiles(x, columns, scale):
                logits = by_row.gradient(Tile(tile.rows, tile.columns, tile.negatives), 1)
                add_products(dx, None, x, columns, logits, tile.rows, tile.columns)
            dx.multiply_(gradient * scale)
        return dx, slope * gradient if ctx.wanted[1] else None, None, None


def queue_nce(
    comparison: Comparison, x: paddle.Tensor, key: paddle.Tensor, columns: paddle.Tensor, scale: paddle.Tensor
) -> paddle.Tensor:
    """Scalar: queries x [b, D] with their keys [b, D] against the columns [K, D] of a queue, summed over rows; scale
    [1]. comparison: rows against columns, whose positives are left out."""
    return QueueNCE.apply(x, scale, key, columns, comparison)

"""Symmetric InfoNCE over tiles of logits: running sums forward, the gradient in closed form backward.

A rank compares its rows with the columns of all ranks once, and has both directions of it: the sums of a row are whole,
those of a column are joined over ranks. So no logit is kept or computed by two ranks. References: InfoNCE (arXiv
1807.03748), tiles (arXiv 2410.17243).
"""

from collections.abc import Iterable, Sequence

import paddle
import paddle.distributed as dist
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

from .comparison import Comparison
from .gather import Share
from .log_sums import CrossEntropy, LogSums, concatenated, sums_of
from .tiles import cast


@paddle.no_grad()
def both_sums(
    comparison: Comparison, x: paddle.Tensor, y: paddle.Tensor, scale: paddle.Tensor
) -> tuple[LogSums, LogSums]:
    """(LogSums of the rows x [b, D], of the columns y [B, D]) over this rank's logits."""
    rows, columns = {}, {}
    for tile in comparison.tiles(x, y, scale):
        for found, part, axis in ((rows, tile.rows, 1), (columns, tile.columns, 0)):
            sums = sums_of(tile, axis)
            found[part.start] = found[part.start].joined(sums) if part.start in found else sums
    return concatenated(list(rows.values())), concatenated(list(columns.values()))


def over_ranks(columns: Sequence[LogSums], share: Share) -> Sequence[LogSums]:
    """LogSums of the columns of each pair over the rows of all ranks: two collectives for all pairs together."""
    if share.alone:
        return columns
    maxima = paddle.stack([found.maxima for found in columns])
    dist.all_reduce(maxima, dist.ReduceOp.MAX)
    sums = paddle.stack([found.below(most) for found, most in zip(columns, maxima, strict=True)])
    dist.all_reduce(sums)
    return [LogSums(most, found) for most, found in zip(maxima, sums, strict=True)]


class InfoNCE(PyLayer):
    """Half of both cross entropies of a pair, summed over this rank's rows and its own columns.

    The gradient of x is whole, that of y is this rank's part: both hold what the rows of this rank add to the loss of
    all columns, so the summand of every rank must have the same factor in the loss.
    """

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: paddle.Tensor,
        y: paddle.Tensor,
        scale: paddle.Tensor,
        comparison: Comparison,
        rows: LogSums,
        columns: LogSums,
        own: slice,
    ) -> paddle.Tensor:
        by_row, by_column = CrossEntropy(rows, comparison.here), CrossEntropy(columns, comparison.there)
        ctx.found = comparison, by_row, by_column
        ctx.wanted = [not tensor.stop_gradient for tensor in (x, y, scale)]
        slope = cast(by_row.slopes.sum() + by_column.slopes[own].sum(), "float32") / (2.0 * scale)
        ctx.save_for_backward(x, y, scale, slope)
        return cast(by_row.losses.sum() + by_column.losses[own].sum(), "float32") / 2.0

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        comparison, by_row, by_column = ctx.found
        x, y, scale, slope = ctx.saved_tensor()
        dx, dy = (paddle.zeros_like(side) if wanted else None for side, wanted in zip((x, y), ctx.wanted, strict=False))
        if dx is not None or dy is not None:
            half = gradient * scale / 2.0
            for tile in comparison.tiles(x, y, scale):
                logits = by_row.gradient(tile, 1) + by_column.gradient(tile, 0)
                add_products(dx, dy, x, y, logits, tile.rows, tile.columns)
            for found in (dx, dy):
                if found is not None:
                    found.multiply_(half)
        return dx, dy, slope * gradient if ctx.wanted[2] else None


def add_products(
    dx: paddle.Tensor | None,
    dy: paddle.Tensor | None,
    x: paddle.Tensor,
    y: paddle.Tensor,
    gradient: paddle.Tensor,
    rows: slice,
    columns: slice,
) -> None:
    """Add to dx [b, D] and dy [B, D], where wanted, what the gradient [r, c] of products of x and y makes."""
    if dx is not None:
        dx._slice(rows.start, rows.stop).add_(paddle.matmul(gradient, y[columns]))
    if dy is not None:
        dy._slice(columns.start, columns.stop).add_(paddle.matmul(gradient, x[rows], transpose_x=True))


def info_nce(
    pairs: Iterable[tuple[Comparison, paddle.Tensor, paddle.Tensor, paddle.Tensor]], share: Share
) -> list[paddle.Tensor]:
    """[scalar] of each (comparison, rows x [b, D] of this rank, columns y [B, D] of all, logit scale [1])."""
    pairs = list(pairs)
    sums = [both_sums(*pair) for pair in pairs]
    columns = over_ranks([found for _, found in sums], share)
    own = slice(share.start, share.start + share.rows)
    return [
        InfoNCE.apply(x, y, scale, comparison, rows, whole, own)
        for (comparison, x, y, scale), (rows, _), whole in zip(pairs, sums, columns, strict=True)
    ]

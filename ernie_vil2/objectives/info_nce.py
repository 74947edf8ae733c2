"""Symmetric InfoNCE over tiles of logits: running sums forward, the gradient in closed form backward.

A rank compares its rows with the columns of all ranks once, and has both directions of it: a row's sums are whole,
those of a column are joined over ranks. So no logit is kept, or computed by two ranks. References: InfoNCE (arXiv
1807.03748), tiles (arXiv 2410.17243).
"""

from collections.abc import Iterable, Sequence

import paddle
import paddle.distributed as dist
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

from .comparison import Comparison, part_of
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


@paddle.no_grad()
def over_ranks(columns: Sequence[LogSums], share: Share) -> Sequence[LogSums]:
    """LogSums of the columns of each pair over the rows of all ranks: two collectives for all pairs together."""
    if share.alone:
        return columns
    maxima = paddle.stack([found.maxima for found in columns])
    dist.all_reduce(maxima, dist.ReduceOp.MAX)
    sums = paddle.stack([found.below(most) for found, most in zip(columns, maxima, strict=True)])
    dist.all_reduce(sums)
    return [LogSums(most, found) for most, found in zip(maxima, sums, strict=True)]


def used_of(flags: Sequence[tuple[paddle.Tensor | None, int]]) -> paddle.Tensor | None:
    """float32 [n] of several (flags float32 or None for ones, how many) one behind the other; None where all are."""
    if all(each is None for each, _ in flags):
        return None
    return paddle.concat([paddle.ones([count]) if each is None else each for each, count in flags])


class InfoNCE(PyLayer):
    """[pairs]: half of both cross entropies of each pair, summed over this rank's rows and its own columns.

    The gradient of x is whole, that of y is this rank's part: both hold what the rows of this rank add to the loss of
    all columns, so the summand of every rank must have the same factor in the loss.
    """

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        comparisons: Sequence[Comparison],
        sums: Sequence[tuple[LogSums, LogSums]],
        own: slice,
        *tensors: paddle.Tensor,
    ) -> paddle.Tensor:
        """tensors: x [b, D], y [B, D] and the logit scale [1] of one pair after the other."""
        flags, starts = [], [0]
        for comparison, sides in zip(comparisons, sums, strict=True):
            for side, used in zip(sides, (comparison.here, comparison.there), strict=True):
                flags.append((used, side.maxima.shape[1]))
                starts.append(starts[-1] + side.maxima.shape[1])
        entropy = CrossEntropy(concatenated([side for sides in sums for side in sides]), used_of(flags))
        values = paddle.stack([entropy.losses, entropy.slopes])
        halves = []
        for row, column in zip(starts[0:-1:2], starts[1::2], strict=True):
            columns = values[:, column + own.start : column + own.stop]
            halves.append((values[:, row:column].sum(1) + columns.sum(1)) / 2.0)
        losses, slopes = cast(paddle.stack(halves, 1), paddle.float32)
        ctx.found = comparisons, entropy, starts, [not tensor.stop_gradient for tensor in tensors]
        ctx.save_for_backward(slopes / paddle.concat(tensors[2::3]), *tensors)
        return losses

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        comparisons, entropy, starts, wanted = ctx.found
        slopes, *tensors = ctx.saved_tensor()
        slopes, found = slopes * gradient, []
        for pair, comparison in enumerate(comparisons):
            (x, y, scale), (of_x, of_y, of_scale) = tensors[3 * pair : 3 * pair + 3], wanted[3 * pair : 3 * pair + 3]
            sides = Products(x if of_x else None, y if of_y else None)
            if of_x or of_y:
                row, column = starts[2 * pair : 2 * pair + 2]
                for tile in comparison.tiles(x, y, scale):
                    logits = entropy.gradient(tile, 1, row) + entropy.gradient(tile, 0, column)
                    sides.add(x, y, logits, tile.rows, tile.columns)
                sides.scale(gradient[pair] * scale / 2.0)
            found += [sides.of_x, sides.of_y, slopes[pair : pair + 1] if of_scale else None]
        return tuple(found)


class Products:
    """Gradients of x [b, D] and of y [B, D] of products x y^T, added up over tiles; of None there is none."""

    def __init__(self, x: paddle.Tensor | None, y: paddle.Tensor | None) -> None:
        self.of_x, self.of_y = (None if side is None else paddle.zeros_like(side) for side in (x, y))

    def add(self, x: paddle.Tensor, y: paddle.Tensor, gradient: paddle.Tensor, rows: slice, columns: slice) -> None:
        """The part of a tile, whose gradient is [r, c]."""
        if self.of_x is not None:
            self.of_x._slice(rows.start, rows.stop).add_(paddle.matmul(gradient, part_of(y, columns)))
        if self.of_y is not None:
            own = paddle.matmul(gradient, part_of(x, rows), transpose_x=True)
            self.of_y._slice(columns.start, columns.stop).add_(own)

    def scale(self, factor: paddle.Tensor) -> None:
        """Multiply both by a number, [1]."""
        for side in (self.of_x, self.of_y):
            if side is not None:
                side.multiply_(factor)


def info_nce(
    pairs: Iterable[tuple[Comparison, paddle.Tensor, paddle.Tensor, paddle.Tensor]], share: Share
) -> paddle.Tensor:
    """[pairs] of (comparison, rows x [b, D] of this rank, columns y [B, D] of all, logit scale [1])."""
    pairs = list(pairs)
    sums = [both_sums(*pair) for pair in pairs]
    columns = over_ranks([found for _, found in sums], share)
    sides = [(rows, whole) for (rows, _), whole in zip(sums, columns, strict=True)]
    own = slice(share.start, share.start + share.rows)
    tensors = [tensor for _, *rest in pairs for tensor in rest]
    return InfoNCE.apply([comparison for comparison, *_ in pairs], sides, own, *tensors)

"""InfoNCE against a queue, as MoCo (arXiv 1911.05722) and BriVL have it: a query, its own key, and the queue's columns.

Keys of the batch at hand are no negatives of each other's samples. Under `positives: by_id` a column of the same image
or the same text is left out.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import paddle
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

from .comparison import Comparison
from .info_nce import Products, used_of
from .log_sums import CrossEntropy, LogSums, Tile, concatenated, sums_of
from .tiles import cast, wide


class Queried(NamedTuple):
    """Queries against their keys, and against the columns of a queue; those that `comparison` calls positives are left
    out. key: float32 [b, D]; columns: float32 [K, D]; both without gradient."""

    comparison: Comparison
    key: paddle.Tensor
    columns: paddle.Tensor

    def tiles(self, x: paddle.Tensor, scale: paddle.Tensor) -> Iterator[Tile]:
        """The logits of the queue's columns, negatives all of them."""
        for tile in self.comparison.tiles(x, self.columns, scale):
            yield tile if tile.same is None else Tile(tile.rows, tile.columns, tile.logits._slice(0, 1))

    def sums(self, x: paddle.Tensor, scale: paddle.Tensor) -> LogSums:
        """LogSums of the rows of x [b, D], with its key as the only positive of each."""
        parts: dict[int, LogSums] = {}
        for tile in self.tiles(x, scale):
            found, start = sums_of(tile, 1), tile.rows.start
            parts[start] = parts[start].joined(found) if start in parts else found
        negatives, kind = concatenated(list(parts.values())), wide()
        own = (cast(x, kind) * cast(self.key, kind)).sum(1) * cast(scale, kind)
        one, none = paddle.ones_like(own), paddle.zeros_like(own)
        return LogSums(
            paddle.stack([negatives.maxima[0], own]),
            paddle.stack([negatives.sums[0], one, negatives.sums[2], none, own, one]),
        )


class QueueNCE(PyLayer):
    """[n]: cross entropies of n sorts of queries, each summed over its rows."""

    @staticmethod
    def forward(ctx: PyLayerContext, queried: Sequence[Queried], *tensors: paddle.Tensor) -> paddle.Tensor:
        """tensors: queries [b, D] and logit scale [1] of one sort after the other."""
        rows = tensors[0].shape[0]
        sums = [each.sums(x, scale) for each, x, scale in zip(queried, tensors[::2], tensors[1::2], strict=True)]
        entropy = CrossEntropy(concatenated(sums), used_of([(each.comparison.here, rows) for each in queried]))
        losses, slopes = (
            cast(value.reshape([len(queried), rows]).sum(1), paddle.float32)
            for value in (entropy.losses, entropy.slopes)
        )
        ctx.found = queried, entropy, rows, [not tensor.stop_gradient for tensor in tensors]
        ctx.save_for_backward(slopes / paddle.concat(tensors[1::2]), *tensors)
        return losses

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        queried, entropy, rows, wanted = ctx.found
        slopes, *tensors = ctx.saved_tensor()
        slopes, found = slopes * gradient, []
        for place, each in enumerate(queried):
            (x, scale), start = tensors[2 * place : 2 * place + 2], place * rows
            side = Products(x if wanted[2 * place] else None, None)
            if side.of_x is not None:
                side.of_x.add_(each.key * cast(entropy.factors[2, start : start + rows], paddle.float32).unsqueeze(1))
                for tile in each.tiles(x, scale):
                    side.add(x, each.columns, entropy.gradient(tile, 1, start), tile.rows, tile.columns)
                side.scale(gradient[place] * scale)
            found += [side.of_x, slopes[place : place + 1] if wanted[2 * place + 1] else None]
        return tuple(found)


def queue_nce(queries: Sequence[tuple[Queried, paddle.Tensor, paddle.Tensor]]) -> paddle.Tensor:
    """[n] of (what is queried, queries x [b, D], logit scale [1]), each summed over its rows."""
    tensors = [tensor for _, x, scale in queries for tensor in (x, scale)]
    return QueueNCE.apply([each for each, *_ in queries], *tensors)

"""Sums of exponentials of logits that grow tile by tile, and what a cross entropy and its gradient follow from.

Negatives and positives are kept apart, each below its own maximum. A loss is then a difference of logits, and the
logarithm of 1 + a share, which is exact in fp32 however small it is; in one sum, as of a softmax, it would drown.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import paddle
import paddle.nn.functional as F

from .tiles import ABSENT, cast, exponentials, largest, spread, total, wide

SMALLEST = 1e-30


@dataclass(frozen=True)
class Tile:
    """Logits [k, r, c] of the given rows and columns: of negatives, and of positives where there are any (k is 1 or 2),
    each ABSENT where it is not one; same: [1, r, c], 1 for a positive and else 0, or None without any."""

    rows: slice
    columns: slice
    logits: paddle.Tensor
    same: paddle.Tensor | None = None

    @property
    def dtype(self) -> paddle.dtype:
        """Of exponentials: fp32 will do for negatives. The softmax of positives that are alike less their part of 1 is
        as small as their difference, and asks for more."""
        return paddle.float32 if self.same is None else self.logits.dtype


@dataclass(frozen=True)
class LogSums:
    """Of n rows, or of n columns, of logits.

    maxima [2, n]: of negatives and of positives, ABSENT without any. sums [6, n]: of exp(z) over negatives and over
    positives, z being a logit less its maximum; of z exp(z) over both likewise; of the logits of positives; the number
    of positives.
    """

    maxima: paddle.Tensor
    sums: paddle.Tensor

    def below(self, maxima: paddle.Tensor) -> paddle.Tensor:
        """The sums [6, n] as they are below other maxima [2, n]."""
        shift = self.maxima - maxima
        factor = shift.exp()
        exponents, weighted, rest = self.sums[:2], self.sums[2:4], self.sums[4:]
        return paddle.concat([exponents * factor, (weighted + exponents * shift) * factor, rest])

    def joined(self, other: "LogSums") -> "LogSums":
        """Those of these logits and of others of the same rows."""
        maxima = paddle.maximum(self.maxima, other.maxima)
        return LogSums(maxima, self.below(maxima) + other.below(maxima))


def sums_of(tile: Tile, axis: int) -> LogSums:
    """Along an axis of a tile: of its rows for 1, of its columns for 0."""
    maxima = largest(tile.logits, axis)
    less, powers = exponentials(tile.logits, maxima, axis, tile.dtype)
    exponents, weighted, maxima = total(powers, axis), total(less * powers, axis), cast(maxima, wide())
    if tile.same is None:
        none = paddle.zeros_like(maxima)
        parts = exponents, none, weighted, none, none, none
        return LogSums(paddle.concat([maxima, none + ABSENT]), paddle.concat(parts))
    positive = total(tile.logits[1:] * tile.same, axis), total(tile.same, axis)
    return LogSums(maxima, paddle.concat([exponents, weighted, *positive]))


def concatenated(parts: Sequence[LogSums]) -> LogSums:
    """Those of several parts of the rows, one behind the other."""
    if len(parts) == 1:
        return parts[0]
    return LogSums(paddle.concat([part.maxima for part in parts], 1), paddle.concat([part.sums for part in parts], 1))


class CrossEntropy:
    """What n rows lose, -log softmax averaged over the positives of a row, from their LogSums.

    used: float32 [n], 0 for rows that do not count and else 1, or None for all. `losses` [n]; `slopes` [n]: their
    derivative by the logarithm of the scale, which is the sum of logits times their gradient.
    """

    def __init__(self, found: LogSums, used: paddle.Tensor | None) -> None:
        self.maxima = found.maxima
        negative, positive = found.maxima
        below = paddle.clip(found.sums[:2], min=SMALLEST)
        logarithm, mean = below.log(), found.sums[2:4] / below
        count = paddle.clip(found.sums[5], min=1.0)
        gap, above = negative - positive, positive - found.sums[4] / count
        rest = gap + (logarithm[0] - logarithm[1])
        share = F.sigmoid(rest)  # of the negatives in the softmax
        losses = (above + logarithm[1]) + softplus(rest)
        slopes = share * (gap + (mean[0] - mean[1])) + (above + mean[1])
        one = cast(count == 1.0, count.dtype)
        several = 1.0 - one
        of_same = -(one * share + several / count)
        rows = paddle.stack([losses, slopes, share / below[0], several * (1.0 - share) / below[1], of_same])
        if used is not None:
            rows = rows * cast(used, rows.dtype)
        self.losses, self.slopes = rows[0], rows[1]
        self.factors = rows[2:]

    def gradient(self, tile: Tile, axis: int, start: int = 0) -> paddle.Tensor:
        """Of the summed losses by the logits of a tile, [r, c]; the rows of this record lie along `axis` of the tile,
        from `start` on.

        A single positive has minus the share of the negatives, and not its softmax less 1, which would be rounding.
        """
        part, kinds = tile.rows if axis else tile.columns, tile.logits.shape[0]
        part = slice(start + part.start, start + part.stop)
        powers = exponentials(tile.logits, cast(self.maxima[:kinds, part], tile.logits.dtype), axis, tile.dtype)[1]
        powers = powers * spread(cast(self.factors[:kinds, part], tile.dtype), powers, axis)
        if tile.same is None:
            return powers[0]
        found = powers.sum(0) + (tile.same * spread(cast(self.factors[2:, part], tile.dtype), tile.same, axis))[0]
        return cast(found, paddle.float32)


def softplus(x: paddle.Tensor) -> paddle.Tensor:
    """log(1 + exp(x)), exact relative to itself: Paddle's own adds 1 first."""
    return paddle.clip(x, min=0.0) + paddle.log1p((-x.abs()).exp())

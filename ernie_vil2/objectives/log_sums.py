"""Sums of exponentials of logits that grow tile by tile, and what a cross entropy and its gradient follow from.

Negatives and positives are kept apart, each below its own maximum. A loss is then a difference of logits, and the
logarithm of 1 + a share, which is exact in fp32 however small it is; in one sum, as of a softmax, it would drown.
"""

from dataclasses import dataclass

import paddle
import paddle.nn.functional as F

from .tiles import ABSENT, cast, exponentials, largest, spread, total, wide

SMALLEST = 1e-30


@dataclass(frozen=True)
class LogSums:
    """Of n rows, or of n columns, of logits.

    maxima [2, n]: of negatives and of positives, ABSENT without any. sums [6, n]: of exp(z) over
    negatives and over positives, z being a logit less its maximum; of z exp(z) over both likewise; of the logits of
    positives; the number of positives.
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


def sums_of(tile: "Tile", axis: int) -> LogSums:
    """Along an axis of a tile: of its rows for 1, of its columns for 0."""
    maxima, exponents, weighted = [], [], []
    for logits, kind in ((tile.negatives, "float32"), (tile.positives, wide())):
        if logits is None:
            nothing = paddle.zeros_like(maxima[0])
            maxima.append(nothing + ABSENT)
            exponents.append(nothing)
            weighted.append(nothing)
        else:
            maxima.append(largest(logits, axis))
            less, powers = exponentials(logits, maxima[-1], axis, kind)
            exponents.append(total(powers, axis))
            weighted.append(total(less * powers, axis))
    rest = (
        [nothing, nothing] if tile.same is None else [total(tile.positives * tile.same, axis), total(tile.same, axis)]
    )
    most = paddle.stack(maxima)
    return LogSums(most, paddle.stack([cast(value, most.dtype) for value in (*exponents, *weighted, *rest)]))


def concatenated(parts: list[LogSums]) -> LogSums:
    """Those of several parts of the rows, one behind the other."""
    return LogSums(paddle.concat([part.maxima for part in parts], 1), paddle.concat([part.sums for part in parts], 1))


@dataclass(frozen=True)
class Tile:
    """Logits [r, c] of the given rows and columns: those of negatives and those of positives, each ABSENT where it is
    not one; same: [r, c], 1 for a positive and else 0. Without any positive, positives and same are None."""

    rows: slice
    columns: slice
    negatives: paddle.Tensor
    positives: paddle.Tensor | None = None
    same: paddle.Tensor | None = None


class CrossEntropy:
    """What n rows lose, -log softmax averaged over the positives of a row, from their LogSums.

    used: float32 [n], 0 for rows that do not count and else 1, or None for all. `losses` [n]; `slopes` [n]: their
    derivative by the logarithm of the scale, which is the sum of logits times their gradient.
    """

    def __init__(self, found: LogSums, used: paddle.Tensor | None) -> None:
        self.negative, self.positive = found.maxima
        below_negative, below_positive = paddle.clip(found.sums[:2], min=SMALLEST)
        count = paddle.clip(found.sums[5], min=1.0)
        gap, above = self.negative - self.positive, self.positive - found.sums[4] / count
        rest = gap + (below_negative.log() - below_positive.log())
        share = F.sigmoid(rest)  # of the negatives in the softmax
        losses = (above + below_positive.log()) + softplus(rest)
        mean_negative, mean_positive = found.sums[2] / below_negative, found.sums[3] / below_positive
        slopes = share * (gap + (mean_negative - mean_positive)) + (above + mean_positive)
        one = cast(count == 1.0, count.dtype)
        factors = (
            share / below_negative,
            (1.0 - one) * (1.0 - share) / below_positive,
            -one * share - (1.0 - one) / count,
        )
        found = (losses, slopes, *factors)
        if used is not None:
            found = [value * cast(used, value.dtype) for value in found]
        self.losses, self.slopes, of_negative, self.of_positive, self.of_same = found
        self.of_negative = cast(of_negative, "float32")

    def gradient(self, tile: Tile, axis: int) -> paddle.Tensor:
        """Of the summed losses by the logits of a tile, [r, c]; the rows of this record are along `axis` of it.

        A single positive has minus the share of the negatives, and not its softmax less 1, which would be rounding. Of
        several that are alike the softmax less their part of 1 is as small, so it is worked out in `wide`.
        """
        part = tile.rows if axis else tile.columns
        negative = exponentials(tile.negatives, self.negative[part], axis)[1]
        found = negative * spread(self.of_negative[part], negative, axis)
        if tile.same is None:
            return found
        positive = exponentials(tile.positives, self.positive[part], axis, wide())[1]
        positive *= spread(self.of_positive[part], positive, axis)
        positive += tile.same * spread(self.of_same[part], positive, axis)
        return found + cast(positive, "float32")


def softplus(x: paddle.Tensor) -> paddle.Tensor:
    """log(1 + exp(x)), exact relative to itself: Paddle's own adds 1 first."""
    return paddle.clip(x, min=0.0) + paddle.log1p((-x.abs()).exp())

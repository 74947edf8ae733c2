"""The threshold that reaches a wanted precision on labelled pairs, and how sure that is. NumPy only.

Of the thresholds of the grid (`thresholds.py`) whose precision is at least the wanted one, the one with most recall is
taken. It was found on the pairs that it is judged by, so on others it does a little worse. Two things say how much: the
intervals of Wilson (E. B. Wilson, JASA 22, 1927) for what few pairs can show, and the bootstrap, which chooses a
threshold on pairs drawn with repetition and judges it by those that were not drawn.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from ...errors import ConfigError, DataError
from ...keys import generator
from .thresholds import SIZE, STEPS, Decision, decision, places_of

LEAST_PAIRS = 30
"""Pairs of either label, below which no precision worth the name can be told"""
RESAMPLES = 400
DEVIATIONS = 1.959964
"""of a normal distribution, on either side, that hold 95 % of it"""
SPREAD = (5, 95)
"""Percentiles between which the thresholds of resamples are told"""
Interval = tuple[float, float]


@dataclass(frozen=True)
class HeldOut:
    """What thresholds chosen on drawn pairs do to the others: percent, None where none was found. lowest, highest: of
    nine tenths of these thresholds. unreached: the share of draws in which no threshold reaches the precision."""

    precision: float | None
    recall: float | None
    lowest: float | None
    highest: float | None
    unreached: float


@dataclass(frozen=True)
class Choice:
    """A threshold for a `wanted` precision in percent, with its Decision on all pairs, of which `right` are the same
    and `wrong` are not; both intervals hold with 95 %."""

    wanted: float
    right: int
    wrong: int
    decision: Decision
    precision: Interval
    recall: Interval
    held_out: HeldOut


def choose(scores: ArrayLike, same: ArrayLike, wanted: float) -> Choice:
    """The Choice for float scores [N] of pairs and bool labels [N], whether a pair is the same.

    wanted: precision in percent. Raises DataError for fewer than LEAST_PAIRS of a label, and where no threshold reaches
    the precision, and ConfigError for a precision that is none.
    """
    scores, same = np.asarray(scores, np.float64), np.asarray(same, bool)
    if not 0 < wanted <= 100:
        raise ConfigError(f"the precision is {wanted:g}; write a percentage above 0 and up to 100, such as 95")
    right, wrong = int(same.sum()), int((~same).sum())
    if min(right, wrong) < LEAST_PAIRS:
        raise DataError(
            f"of the pairs {right:,} are labelled as the same and {wrong:,} as different, but a threshold needs at "
            f"least {LEAST_PAIRS} of either to mean anything; label more pairs"
        )
    places = places_of(scores)
    found = found_at(places[same]), found_at(places[~same])
    place = best_place(*found, wanted)
    if place is None:
        precisions = 100 * found[0] / np.maximum(found[0] + found[1], 1)
        best = int(np.argmax(precisions))
        raise DataError(
            f"no threshold has a precision of {wanted:g} % on these pairs: the best, {(best - STEPS) / STEPS:.3f}, has "
            f"{precisions[best]:.1f} %; ask for less, or look whether the pairs it takes are labelled rightly"
        )
    taken = int(found[0][place]), int(found[1][place])
    return Choice(
        wanted,
        right,
        wrong,
        decision((place - STEPS) / STEPS, *taken, right, wrong),
        wilson(taken[0], sum(taken)),
        wilson(taken[0], right),
        held_out(places, same, wanted),
    )


def found_at(places: np.ndarray) -> np.ndarray:
    """int64 [SIZE]: how many of the pairs at these places of the grid each threshold lets through."""
    return np.cumsum(np.bincount(places, minlength=SIZE)[::-1])[::-1]


def best_place(right: np.ndarray, wrong: np.ndarray, wanted: float) -> int | None:
    """The place of the threshold with most recall among those of the wanted precision, of equal ones the highest; None
    without any. right, wrong: int64 [SIZE], pairs of either label that each threshold lets through."""
    reach = np.flatnonzero((right > 0) & (100 * right >= wanted * (right + wrong)))
    if not len(reach):
        return None
    return int(np.flatnonzero(right == right[reach[0]])[-1])  # a higher one that loses no right pair


def wilson(hits: int, of: int) -> Interval:
    """Wilson's interval of 95 %, in percent, for a share seen as `hits` of so many."""
    share, square = hits / of, DEVIATIONS**2 / of
    middle, half = share + square / 2, DEVIATIONS * math.sqrt(share * (1 - share) / of + square / (4 * of))
    return max(0.0, 100 * (middle - half) / (1 + square)), min(100.0, 100 * (middle + half) / (1 + square))


def held_out(places: np.ndarray, same: np.ndarray, wanted: float) -> HeldOut:
    """The HeldOut of RESAMPLES draws of as many pairs as there are, the same draws for the same number of pairs."""
    rng, chosen, judged = generator("held-out pairs", len(places)), [], np.zeros(3, np.int64)
    for _ in range(RESAMPLES):
        drawn = rng.integers(0, len(places), len(places))
        left = np.ones(len(places), bool)
        left[drawn] = False
        mine, label = places[drawn], same[drawn]
        place = best_place(found_at(mine[label]), found_at(mine[~label]), wanted)
        if place is None:
            continue
        chosen.append((place - STEPS) / STEPS)
        taken = left & (places >= place)
        judged += (taken & same).sum(), taken.sum(), (left & same).sum()
    hits, taken, right = judged.tolist()
    lowest, highest = np.percentile(chosen, SPREAD).tolist() if chosen else (None, None)
    return HeldOut(
        100 * hits / taken if taken else None,
        100 * hits / right if right else None,
        lowest,
        highest,
        100 - 100 * len(chosen) / RESAMPLES,
    )

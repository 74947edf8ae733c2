"""Which score means "same": precision and recall of every threshold, from counts of scores on a grid.

A pair is called the same when its cosine is at least the threshold; the grid goes from -1 to 1 in steps of 0.001. The
precision depends on what is compared. *Of all pairs*: every text with every image, so wrong pairs outnumber right ones
as in the set itself; this is what a search over the whole set meets. *Balanced*: as if one wrong pair were asked for
each right one, as when single pairs of a shop or a forum are checked. Recall is the same in both.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

import numpy as np
from numpy.typing import ArrayLike

from .ranks import TIE

STEPS = 1000
"""thresholds between 0 and 1"""
SIZE = 2 * STEPS + 1
TARGETS = (90, 95, 99)
ROW_STEPS = (5, 10, 20, 50, 100, 200)
MOST_ROWS = 32


@dataclass(frozen=True)
class Decision:
    """What a threshold does to all pairs of a text and an image; shares in percent, None where nothing is divided.

    false_positives_share: of the wrong pairs, how many are called the same. f1, balanced_f1: the harmonic mean of
    recall and the precision of the same name.
    """

    threshold: float
    right_found: int
    wrong_found: int
    recall: float
    false_positives_share: float | None
    precision: float | None
    f1: float | None
    balanced_precision: float | None
    balanced_f1: float | None


def count_scores(scores: np.ndarray) -> np.ndarray:
    """int64 [SIZE]: how many scores lie at or over a threshold and under the next one; closer than TIE is equal."""
    return np.bincount(places_of(scores.reshape(-1)), minlength=SIZE)


def places_of(scores: np.ndarray) -> np.ndarray:
    """int64 [N]: the number, from 0, of the highest threshold of the grid that lets a score [N] through."""
    places = np.floor((scores + TIE) * STEPS).astype(np.int64)
    places += STEPS
    return np.clip(places, 0, SIZE - 1, out=places)


def decisions(positives: ArrayLike, negatives: ArrayLike) -> list[Decision]:
    """A Decision for every threshold of the grid, lowest first, from the counts of right and of wrong pairs."""
    right, wrong = (np.cumsum(np.asarray(counts, np.int64)[::-1])[::-1].tolist() for counts in (positives, negatives))
    return [
        decision((place - STEPS) / STEPS, *found, right[0], wrong[0])
        for place, found in enumerate(zip(right, wrong, strict=True))
    ]


def decision(threshold: float, right_found: int, wrong_found: int, right: int, wrong: int) -> Decision:
    """The Decision of a threshold that lets through so many of the right and of the wrong pairs."""
    recall = 100 * right_found / right
    share = 100 * wrong_found / wrong if wrong else None
    precision = 100 * right_found / (right_found + wrong_found) if right_found + wrong_found else None
    balanced = 100 * recall / (recall + share) if share is not None and recall + share else None
    return Decision(
        threshold,
        right_found,
        wrong_found,
        recall,
        share,
        precision,
        harmonic(precision, recall),
        balanced,
        harmonic(balanced, recall),
    )


def harmonic(precision: float | None, recall: float) -> float | None:
    """F1, or None where the precision is."""
    if precision is None:
        return None
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def picks(every: Sequence[Decision]) -> dict[str, dict[str, Decision | None]]:
    """{variant: {goal: Decision or None}} of a list of Decisions, variants being `all pairs` and `balanced`.

    Goals: `best F1`, and `precision ≥ 90 %` and so on, where of those that reach it the one with most recall is
    taken; None where no threshold that finds anything reaches it. Of equal ones the higher threshold is taken.
    """
    return {
        "all pairs": goals(every, attrgetter("precision"), attrgetter("f1")),
        "balanced": goals(every, attrgetter("balanced_precision"), attrgetter("balanced_f1")),
    }


def goals(
    every: Sequence[Decision], precision: Callable[[Decision], float | None], f1: Callable[[Decision], float | None]
) -> dict[str, Decision | None]:
    """{goal: Decision or None} of one variant, whose precision and F1 the two functions take from a Decision."""
    useful = [one for one in every if one.right_found and precision(one) is not None]
    found = {"best F1": max(useful, key=lambda one: (f1(one), one.threshold), default=None)}
    for target in TARGETS:
        reach = [one for one in useful if precision(one) >= target]
        found[f"precision ≥ {target} %"] = max(
            reach, key=lambda one: (one.recall, precision(one), one.threshold), default=None
        )
    return found


def rows(every: Sequence[Decision]) -> Sequence[Decision]:
    """The Decisions worth showing: at most MOST_ROWS round thresholds over the range in which recall falls."""
    lowest = max((place for place, one in enumerate(every) if one.recall == 100), default=0)
    highest = max((place for place, one in enumerate(every) if one.right_found), default=0)
    for step in ROW_STEPS:
        first, last = lowest // step * step, min(-(-highest // step) * step, SIZE - 1)
        shown = every[first : last + 1 : step]
        if len(shown) <= MOST_ROWS:
            break
    return shown

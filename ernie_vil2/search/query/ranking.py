"""Rankings that are kept, so that every page of a query costs the same, and pages of a query never overlap."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass

import numpy as np

from ..neighbours.neighbours import MOST
from .recent import Recent

DEEPEST = 10_000
"""Hits of all pages of a query"""
STEPS = (100, 1000, MOST, DEEPEST)
"""How deep a ranking goes: the first that suffices; below the third every row is compared"""
REMEMBERED = 64
Find = Callable[[int], tuple[np.ndarray, np.ndarray]]
"""Function (k) -> (float32 [n] scores, int64 [n] ids), best first; n < k where there are no more"""


@dataclass(frozen=True)
class Ranking:
    """The best rows of a query. scores: float32 [n]; ids: int64 [n]; complete: whether nothing else can be found."""

    scores: np.ndarray
    ids: np.ndarray
    complete: bool = False

    def reaches(self, threshold: float | None) -> bool:
        """Whether all rows of a threshold are in it, since one is below."""
        return threshold is not None and bool(self.scores.min(initial=np.inf) < threshold)

    def above(self, threshold: float | None) -> tuple["Ranking", int | None]:
        """(the rows that score at least the threshold, how many there are at all; None where more may follow)."""
        if threshold is None:
            return self, len(self.ids) if self.complete else None
        kept = self.scores >= threshold
        total = int(kept.sum()) if self.complete or self.reaches(threshold) else None
        return Ranking(self.scores[kept], self.ids[kept], self.complete), total

    def deeper(self, scores: np.ndarray, ids: np.ndarray, complete: bool) -> "Ranking":
        """A deeper ranking that begins with this one: pages that were seen stay what they are, though a deeper search
        of an inexact index may find a row that this one has not."""
        new = ~np.isin(ids, self.ids)
        return Ranking(np.concatenate([self.scores, scores[new]]), np.concatenate([self.ids, ids[new]]), complete)


EMPTY = Ranking(np.zeros(0, np.float32), np.zeros(0, np.int64))


class Rankings:
    """The last rankings by what was asked; threads may share it."""

    def __init__(self) -> None:
        self._known = Recent(REMEMBERED)

    def get(self, key: Hashable, count: int, find: Find, threshold: float | None = None) -> Ranking:
        """A ranking with the best `count` rows, at most DEEPEST, with all there are, or with one below the threshold.

        key: everything that the answer depends on, but for depth and threshold.
        """
        ranking = self._known.get(key, lambda: EMPTY)
        if len(ranking.ids) >= count or ranking.complete or ranking.reaches(threshold):
            return ranking
        depth = next(step for step in STEPS if step >= count)
        scores, ids = find(depth)
        ranking = ranking.deeper(scores, ids, len(ids) < depth)
        self._known.put(key, ranking)
        return ranking

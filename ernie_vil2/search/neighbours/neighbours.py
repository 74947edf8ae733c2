"""The nearest rows of a side: candidates by FAISS, scores by the vectors as they are stored."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ..store.part import Part
from .candidates import Selection, candidates
from .exact import among, everywhere, scores_of
from .flat import flat_index
from .ranking import NOBODY, best, nothing

if TYPE_CHECKING:
    import faiss

FEW = 2048
"""Rows a filter leaves that are read and compared one by one, sooner than FAISS finds them among others"""
MOST = 2048
"""Answers that are sought with FAISS; for more, every row is compared"""
SPARE = 4
"""Candidates for each answer, at least"""
DEEP = 10
"""Times the answers that a search was tuned for, from which on it looks into more lists"""


class Neighbours:
    """Search in a side of an index, as its snapshot shows it; threads may share one.

    part: the side. index: of FAISS, of the rows with ids below `bound`; None where there is none. options: of the
    record that was made with it. Rows from `bound` on are compared one by one.
    """

    def __init__(self, part: Part, index: faiss.Index | None, options: Mapping[str, Any], bound: int) -> None:
        self.part, self.options = part, dict(options)
        self.indexes = [] if index is None else [index]
        newer = flat_index(part, bound)
        if newer.ntotal:
            self.indexes.append(newer)
        self.held = sum(one.ntotal for one in self.indexes)

    @cached_property
    def living(self) -> Selection | None:
        """Rows that are alive, where FAISS holds others too."""
        return None if self.held == len(self.part) else Selection(self.part.live_ids(), self.held)

    def search(self, queries: np.ndarray, k: int, allowed: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
        """The k nearest living rows: scores float32 [q, k], and ids int64 [q, k], by score, equal ones by id.

        queries: unit vectors, float32 [q, D]. allowed: sorted ids that may be found, by default all; ids of others or
        of rows that are gone do no harm. Scores are exact: cosines with the vectors as they are stored. Where there are
        fewer rows than k, the rest is -inf and -1.
        """
        queries = np.ascontiguousarray(queries, np.float32).reshape(-1, self.part.width)
        selection, reachable = self.living, len(self.part)
        if allowed is not None:
            allowed = self._alive(np.asarray(allowed, np.int64))
            reachable = len(allowed)
            if reachable <= FEW:
                return among(self.part, allowed, queries, k)
            selection = Selection(allowed, self.held)
        if not len(queries) or not reachable:
            return nothing(len(queries), k)
        if k > MOST:
            return self._compared(queries, k, allowed)
        scores, ids = self._scored(queries, k, selection)
        lacking = np.flatnonzero((ids != NOBODY).sum(axis=1) < min(k, reachable))
        if len(lacking):
            scores[lacking], ids[lacking] = self._compared(queries[lacking], k, allowed)
        return scores, ids

    @cached_property
    def _there(self) -> np.ndarray:
        """Whether ids are those of living rows, bool [bound]."""
        there = np.zeros(self.part.bound, bool)
        there[self.part.live_ids()] = True
        return there

    def _alive(self, ids: np.ndarray) -> np.ndarray:
        """Those of some ids that are alive."""
        ids = ids[(ids >= 0) & (ids < len(self._there))]
        return ids[self._there[ids]]

    def _scored(self, queries: np.ndarray, k: int, selection: Selection | None) -> tuple[np.ndarray, np.ndarray]:
        """The k best of what FAISS finds, scored anew."""
        count = min(self.held, max(SPARE * k, self.options.get("candidates", 0)))
        wider = max(1.0, k / (DEEP * self.options.get("answers", k))) ** 0.5
        found = [candidates(index, queries, count, self.options, selection, wider) for index in self.indexes]
        scores, ids = nothing(len(queries), k)
        for row, named in enumerate(np.concatenate(found, axis=1)):
            named = np.sort(named[named != NOBODY])
            scores[row], ids[row] = best(scores_of(self.part, named, queries[row : row + 1])[0], named, k)
        return scores, ids

    def _compared(self, queries: np.ndarray, k: int, allowed: np.ndarray | None) -> tuple[np.ndarray, np.ndarray]:
        """The k best of all rows, compared one by one."""
        if allowed is not None:
            return among(self.part, allowed, queries, k)
        return everywhere(self.part.blocks(), queries, k)

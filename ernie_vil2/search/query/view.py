"""An index as a search sees it at one moment: rows, neighbours, what filters let through, rankings."""

import threading
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ...errors import DataError
from ..neighbours.neighbours import Neighbours
from ..neighbours.opening import open_neighbours
from ..store.part import Part
from ..store.snapshot import Snapshot
from .filter_rows import allowed_ids
from .filter_terms import Terms
from .ranking import Rankings
from .recent import Recent
from .text_owners import TextOwners

FILTERS = 16
"""Filters whose rows are kept: 8 bytes a row"""
ASKED, LEAST_FOUND, ROUNDING = 8, 6, 1e-3
"""Rows that must find themselves: how many are asked, how many must; what half precision takes from a cosine of 1"""


@dataclass(frozen=True)
class Kind:
    """What can be looked for. side: of the index; texts: the kind of texts, or all of them."""

    side: str
    texts: str = ""


KINDS = {
    "images": Kind("image"),
    "texts": Kind("text"),
    "captions": Kind("text", "caption"),
    "tags": Kind("text", "tag"),
}


class View:
    """A snapshot with what searches of it share; threads may share it."""

    def __init__(self, snapshot: Snapshot):
        self.snapshot, self.rankings = snapshot, Rankings()
        self._allowed = Recent(FILTERS)
        self._neighbours: dict[str, Neighbours] = {}
        self._lock = threading.Lock()

    def part(self, side: str) -> Part:
        """The rows of a side, image or text."""
        return self.snapshot.part(side)

    @cached_property
    def owners(self) -> TextOwners:
        """Which pictures have which texts."""
        return TextOwners(self.part("image"), self.part("text"))

    def neighbours(self, side: str) -> Neighbours:
        """The neighbours of a side, opened and tried when they are first asked for."""
        with self._lock:
            if side not in self._neighbours:
                opened = open_neighbours(self.snapshot, side)
                check_rows(self.snapshot, self.part(side), opened)
                self._neighbours[side] = opened
            return self._neighbours[side]

    def allowed(self, terms: Terms, of: str) -> np.ndarray | None:
        """int64 [n], ascending: the ids that count; None for all of them."""
        kind = KINDS[of]
        if not terms and not kind.texts:
            return None
        return self._allowed.get((terms, of), lambda: self._made(terms, of))

    def _made(self, terms, of):
        kind = KINDS[of]
        if kind.side == "image":
            return allowed_ids(self.part("image"), self.snapshot.manifest.roots, terms)
        of_kind = self.owners.of_kind(kind.texts) if kind.texts else None
        if not terms:
            return of_kind
        owned = self.owners.owned(self.allowed(terms, "images"))
        return owned if of_kind is None else np.intersect1d(owned, of_kind, assume_unique=True)

    def nearest(
        self, side: str, vector: np.ndarray, allowed: np.ndarray | None, k: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """(float32 [n] cosines, int64 [n] ids), best first: the k rows of a side that are nearest to a unit vector."""
        if not len(self.part(side)) or allowed is not None and not len(allowed):
            return np.zeros(0, np.float32), np.zeros(0, np.int64)
        scores, ids = self.neighbours(side).search(vector[None], k, allowed)
        there = ids[0] >= 0
        return scores[0][there], ids[0][there]


def check_rows(snapshot: Snapshot, part: Part, neighbours: Neighbours) -> None:
    """DataError unless rows all over the index are their own nearest neighbours, or have an equal vector that is.

    A search that is not exact may miss one or two.
    """
    ids = part.live_ids()
    if not len(ids):
        return
    ids = ids[np.unique(np.linspace(0, len(ids) - 1, ASKED).astype(np.int64))]
    vectors = part.vectors(ids)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    scores, found = neighbours.search(vectors, 1, None)
    right = (found[:, 0] == ids) | (scores[:, 0] >= 1 - ROUNDING)
    if right.sum() < min(len(ids), LEAST_FOUND):
        raise DataError(
            f"{snapshot.folder}: its rows and its vectors do not belong together; copy the index again, make its "
            "neighbours anew with index compact, or build it anew"
        )

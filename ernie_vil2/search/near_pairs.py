"""Pairs of vectors whose cosine reaches a threshold, among all pairs: exact, at a small part of the arithmetic.

Vectors are turned so that their first coordinates hold most of their length (the eigenvectors of a sample). A cosine is
at most the product of these coordinates plus the product of the lengths of the rest, which is a product of vectors with
one coordinate more than are kept. Only pairs for which this bound reaches the threshold are multiplied in full. How
many coordinates are kept is chosen on a sample by what the bound costs and what it spares.
"""

from typing import TYPE_CHECKING

import numpy as np

from ..keys import generator

if TYPE_CHECKING:
    from .store.snapshot import Part

WIDTHS = (32, 64, 128, 256)
"""Numbers of coordinates of the bound, its last one included"""
SAMPLE, SAMPLE_ROWS = 4096, 1024
CHECK_COST = 100_000
"""What one pair that passes the bound costs, in coordinates of one that does not: it is read from the disk"""
READ = 8192
TILE = 2048
ROUNDING = 1e-6
"""Cosines in float32 of the same vectors differ by less"""
SLACK = 2e-5
"""By how much the bound may err for its rounding"""


class Taken:
    """Of pictures [N], by position: leader int64, the position of the first of its group, -1 while it is in none;
    score float32, its cosine with that one."""

    def __init__(self, count: int) -> None:
        self.leader = np.full(count, -1, np.int64)
        self.score = np.ones(count, np.float32)

    def put(self, members: np.ndarray, leader: np.ndarray | int, scores: np.ndarray | float) -> None:
        """Put pictures into the groups of others, or of their own."""
        self.leader[members] = leader
        self.score[members] = np.minimum(scores, 1)


class Projection:
    """Vectors of an index in the order of `ids` int64 [N], as what bounds their cosines: `bound` float32 [N, W]."""

    def __init__(self, part: "Part", ids: np.ndarray, threshold: float) -> None:
        self.part, self.ids, self.threshold = part, ids, threshold - ROUNDING
        drawn = generator("sample of near pairs", len(ids)).permutation(len(ids))[: 2 * SAMPLE]
        learnt, judged = self.vectors(drawn[::2]), self.vectors(drawn[1::2])
        _, basis = np.linalg.eigh(learnt.T @ learnt)
        basis = np.ascontiguousarray(basis[:, ::-1])
        self.basis = basis[:, : self._width(judged @ basis) - 1]
        self.bound = np.empty((len(ids), self.basis.shape[1] + 1), np.float32)
        order = np.argsort(ids)  # the disk is read from its beginning to its end
        for start in range(0, len(ids), READ):
            rows = order[start : start + READ]
            self.bound[rows] = bounded(self.vectors(rows) @ self.basis)

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """float32 [n, D] of positions int64 [n], of length 1."""
        vectors = self.part.vectors(self.ids[rows])
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _width(self, turned):
        """The width whose bound is the cheapest on turned vectors [S, D], which had no part in how they are turned."""
        costs = {turned.shape[1] + 1: turned.shape[1]}
        for width in WIDTHS:
            if width <= turned.shape[1]:
                bound = bounded(turned[:, : width - 1])
                passed = bound[:SAMPLE_ROWS] @ bound[SAMPLE_ROWS:].T >= self.threshold - SLACK
                costs[width] = width + CHECK_COST * (passed.mean() if passed.size else 0)
        return min(costs, key=costs.get)


def bounded(kept: np.ndarray) -> np.ndarray:
    """float32 [n, k + 1]: k coordinates of vectors of length 1, and the length of what they leave."""
    rest = np.sqrt(np.maximum(0, 1 - np.einsum("nd,nd->n", kept, kept)))
    return np.concatenate([kept, rest[:, None]], axis=1)


def first_leaders(
    projection: Projection,
    leaders: np.ndarray,
    vectors: np.ndarray,
    later: np.ndarray,
    video: np.ndarray,
    taken: Taken,
) -> None:
    """Put each of the positions `later` int64 into the group of the first of the `leaders` int64 [n] that it is near.

    vectors: float32 [n, D] of the leaders. video: int64 [N], equal numbers for frames of one video, -1 for pictures.
    """
    against = np.ascontiguousarray(projection.bound[leaders].T)
    room = np.empty((min(TILE, len(later)), len(leaders)), np.float32)
    for start in range(0, len(later), TILE):
        tile = later[start : start + TILE]
        bounds = np.matmul(projection.bound[tile], against, out=room[: len(tile)])
        some = np.flatnonzero(bounds.max(axis=1, initial=-1) >= projection.threshold - SLACK)
        if not len(some):
            continue
        columns, rows = np.nonzero(bounds[some] >= projection.threshold - SLACK)
        one, other = video[tile[some]][columns], video[leaders][rows]
        apart = (one != other) | (one < 0)
        settle(projection, tile[some], columns[apart], rows[apart], leaders, vectors, taken)


def settle(
    projection: Projection,
    members: np.ndarray,
    columns: np.ndarray,
    rows: np.ndarray,
    leaders: np.ndarray,
    vectors: np.ndarray,
    taken: Taken,
) -> None:
    """Look at pairs (member, leader), given as places in `members` and in `leaders` and ordered, for each member in
    turn until one is near."""
    own = projection.vectors(members)
    while len(columns):
        first = np.flatnonzero(np.diff(columns, prepend=-1))
        member, leader = columns[first], rows[first]
        scores = np.einsum("nd,nd->n", own[member], vectors[leader])
        near = scores >= projection.threshold
        taken.put(members[member[near]], leaders[leader[near]], scores[near])
        done = np.zeros(len(members), bool)
        done[member[near]] = True
        left = ~done[columns]
        left[first] = False
        columns, rows = columns[left], rows[left]

"""Exact search in the vectors of a part: of some rows by their ids, or of all of them block by block."""

from collections.abc import Callable, Iterable

import numpy as np

from ..store.part import Part
from .ranking import best, merged, nothing

ROWS = 4096
"""Rows that are read by id and compared at once, so that memory does not grow with their number"""


def scores_of(part: Part, ids: np.ndarray, queries: np.ndarray) -> np.ndarray:
    """Cosines of queries, float32 [q, D], with the stored vectors of ids [n]: float32 [q, n]."""
    return queries @ part.vectors(ids).T


def among(part: Part, ids: np.ndarray, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of some rows, each of which is read: scores and ids [q, k]."""
    found = nothing(len(queries), k)
    for first in range(0, len(ids), ROWS):
        some = ids[first : first + ROWS]
        found = merged(found, ranked(scores_of(part, some, queries), some, k), k)
    return found


def everywhere(
    blocks: Iterable[tuple[np.ndarray, np.ndarray]],
    queries: np.ndarray,
    k: int,
    seen: Callable[[np.ndarray, np.ndarray], object] = lambda ids, vectors: None,
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of all blocks of (ids, vectors): scores and ids [q, k].

    seen: is handed every block in single precision, for whoever wants to do more in the one walk through the rows.
    """
    found = nothing(len(queries), k)
    for ids, halves in blocks:
        vectors = halves.astype(np.float32)
        seen(ids, vectors)
        if len(queries):
            found = merged(found, ranked(queries @ vectors.T, ids, k), k)
    return found


def ranked(scores: np.ndarray, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k best of scores [q, n] of the same ids [n] for every query."""
    pairs = [best(row, ids, k) for row in scores]
    return (np.stack([one for one, _ in pairs]), np.stack([one for _, one in pairs])) if pairs else nothing(0, k)

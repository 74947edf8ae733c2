"""The best of many scores, in an order that does not depend on who found them."""

import numpy as np

NOBODY = -1
"""The id where there are fewer rows than were asked for; its score is -inf"""


def best(scores: np.ndarray, ids: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k highest of scores, float32 [n], with their ids, int64 [n]: by score, equal ones by id.

    Both results are [k]; where n is less, the rest is -inf and `NOBODY`.
    """
    if len(scores) > 4 * k > 0:
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        kept = np.flatnonzero(scores >= least)
        scores, ids = scores[kept], ids[kept]
    order = np.lexsort((ids, -scores))[:k]
    found, named = nothing(1, k)
    found[0, : len(order)], named[0, : len(order)] = scores[order], ids[order]
    return found[0], named[0]


def nothing(queries: int, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Scores and ids [queries, k] of nobody."""
    return np.full((queries, k), -np.inf, np.float32), np.full((queries, k), NOBODY, np.int64)


def merged(
    left: tuple[np.ndarray, np.ndarray], right: tuple[np.ndarray, np.ndarray], k: int
) -> tuple[np.ndarray, np.ndarray]:
    """The k best of two results of the same queries, scores and ids [q, any], which share no id."""
    scores, ids = (np.concatenate(pair, axis=1) for pair in zip(left, right, strict=True))
    rows = [best(found[named != NOBODY], named[named != NOBODY], k) for found, named in zip(scores, ids, strict=True)]
    if not rows:
        return nothing(0, k)
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])


def recall(found: np.ndarray, right: np.ndarray) -> float:
    """The share of the right ids [q, k] that were found [q, any]; places without a row count neither way."""
    wanted = right != NOBODY
    hits = (right[:, :, None] == found[:, None, :]).any(axis=2) & wanted
    return float(hits.sum() / max(1, wanted.sum()))

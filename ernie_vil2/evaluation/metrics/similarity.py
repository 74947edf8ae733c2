"""How well similarities agree with labels: correlations for pairs of texts, mAP@K for image retrieval. NumPy only."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from ...errors import DataError

BLOCK_BYTES = 256 << 20
BYTES_PER_SCORE = 24
"""What one (query, database row) costs inside a block: score, key, relevance and the copies that NumPy makes."""
TIE_STEPS = 1e6
"""Cosines are compared in steps of 1e-6: below that is the rounding of float32, not an opinion of the model."""


def pearson(first: ArrayLike, second: ArrayLike) -> float:
    """Pearson's correlation x 100 of two float sequences [N].

    A side without any spread agrees with nothing: 0, where a division would give NaN. Raises DataError for fewer than
    two values, different lengths, and values that are not finite.
    """
    first, second = checked_pair(first, second)
    first, second = first - first.mean(), second - second.mean()
    scale = np.sqrt((first @ first) * (second @ second))
    return float(np.clip(first @ second / scale, -1, 1) * 100) if scale > 0 else 0.0


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Spearman's rank correlation x 100: Pearson's of the ranks, equal values sharing the mean of their ranks."""
    first, second = checked_pair(first, second)
    return pearson(average_ranks(first), average_ranks(second))


def average_ranks(values: ArrayLike) -> np.ndarray:
    """Ranks float64 [N] from 1; equal values get the mean of the ranks that they take up together."""
    _, inverse, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[inverse.reshape(-1)]


def checked_pair(first: ArrayLike, second: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """Both sequences as float64 arrays that can be compared."""
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    if first.ndim != 1 or first.shape != second.shape or len(first) < 2:
        raise DataError(
            f"a correlation needs two sequences of one length of at least 2, not shapes "
            f"{list(first.shape)} and {list(second.shape)}; give a value of each for every pair"
        )
    for values in (first, second):
        if not np.isfinite(values).all():
            row = int(np.flatnonzero(~np.isfinite(values))[0])
            raise DataError(
                f"value {row} (counted from 0) of a correlation is {values[row]}: the model gives numbers "
                "that are not finite; give another model"
            )
    return first, second


def pack_labels(marks: ArrayLike) -> np.ndarray:
    """Bit masks uint64 [N, W] of marks bool [N, L]: label l is bit l % 64 of word l // 64, W = max(1, ceil(L / 64))."""
    marks = np.asarray(marks, bool)
    words = max(1, -(-marks.shape[1] // 64))
    padded = np.zeros((len(marks), words * 64), bool)
    padded[:, : marks.shape[1]] = marks
    return np.packbits(padded, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def share_label(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """bool [Q, N]: whether the masks uint64 [Q, W] and [N, W] have a bit in common."""
    shared = (first[:, None, 0] & second[None, :, 0]) != 0
    for word in range(1, first.shape[1]):
        shared |= (first[:, None, word] & second[None, :, word]) != 0
    return shared


def mean_average_precision(
    queries: ArrayLike,
    database: ArrayLike,
    query_labels: np.ndarray,
    database_labels: np.ndarray,
    ks: Sequence[int] = (5000,),
    own: ArrayLike | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> dict[int, float]:
    """{K: mAP@K in percent}; a database row is relevant to a query when they share a label.

    queries [Q, D], database [N, D]: L2-normalised float embeddings. query_labels uint64 [Q, W], database_labels
    uint64 [N, W]: masks from `pack_labels`. ks: depths, cut to N. own: int [Q], the database row that is the query
    itself and is no candidate, -1 where there is none.

    AP@K = mean of the precisions at the ranks of the relevant rows among the first K, that is, their sum divided by
    the number of relevant rows *found* in the first K; 0 when none is found. This is the usage of the hashing papers
    (HashNet and its followers). The other definition divides by min(K, number of relevant rows in the database),
    so it also punishes what was not found; the figures of the two must not be compared.

    Among equal cosines (in steps of 1e-6) the irrelevant rows come first, so a collapsed model gains nothing. Only
    `block_bytes` of scores are held at a time. Raises DataError.
    """
    queries, database = normalised("queries", queries), normalised("database", database)
    if queries.shape[1] != database.shape[1]:
        raise DataError(
            f"queries are {queries.shape[1]} wide but the database {database.shape[1]}; both must come from one model"
        )
    own = np.full(len(queries), -1) if own is None else np.asarray(own)
    depths = {k: min(int(k), len(database)) for k in ks}
    deepest = max(depths.values())
    totals = dict.fromkeys(ks, 0.0)
    rows = max(1, block_bytes // (BYTES_PER_SCORE * len(database)))
    ranks = np.arange(1, deepest + 1)
    for start in range(0, len(queries), rows):
        part = slice(start, start + rows)
        keys = np.rint(queries[part] @ database.T * np.float32(TIE_STEPS)).astype(np.int32)
        keys *= 2
        keys += ~share_label(query_labels[part], database_labels)  # equal scores: the irrelevant have the higher key
        itself = np.flatnonzero(own[part] >= 0)
        keys[itself, own[part][itself]] = np.iinfo(np.int32).max * -1  # odd, so irrelevant, and the last of all
        keys.partition(len(database) - deepest, axis=1)
        first = -np.sort(-keys[:, len(database) - deepest :], axis=1)
        relevant = (first & 1) == 0
        found = np.cumsum(relevant, axis=1)
        gained = np.cumsum(np.where(relevant, found / ranks, 0.0), axis=1)
        for k, depth in depths.items():
            totals[k] += float((gained[:, depth - 1] / np.maximum(found[:, depth - 1], 1)).sum())
    return {k: total / len(queries) * 100 for k, total in totals.items()}


def normalised(name: str, embeds: ArrayLike) -> np.ndarray:
    """The embeddings as float32 [N, D], checked to have rows, all of length 1."""
    embeds = np.asarray(embeds, np.float32)
    if embeds.ndim != 2 or not embeds.size:
        raise DataError(f"{name} has shape {list(embeds.shape)}; give at least one embedding [N, D]")
    broken = np.flatnonzero(~np.isfinite(embeds).all(axis=1))
    if len(broken):
        raise DataError(
            f"{name} has {len(broken)} of {len(embeds)} rows that are not finite, the first is row "
            f"{broken[0]}: the model gives numbers that are not finite; give another model"
        )
    squares = np.einsum("nd,nd->n", embeds, embeds)
    wrong = np.flatnonzero(~(np.abs(squares - 1) < 1e-3))
    if len(wrong):
        raise DataError(
            f"{name} has {len(wrong)} of {len(embeds)} rows that are not of length 1, the first is row "
            f"{wrong[0]}; encode with normalize=True and leave out broken images"
        )
    return embeds

"""Metrics of graded relevance within the labelled documents of each query: PNR, NDCG, MAP; NumPy only.

Everywhere, `scores`, `labels` (0 is irrelevant) and `queries` (any integer per query) are arrays [G], a row a labelled
pair. Equal scores never help: NDCG and MAP put the less relevant document first, PNR counts such a pair on
neither side.
"""

import numpy as np
from numpy.typing import ArrayLike

from ...errors import DataError

CUTOFFS = (1, 5, 10)


def graded_metrics(
    scores: ArrayLike, labels: ArrayLike, queries: ArrayLike, relevant: int
) -> tuple[dict[str, float], dict[str, int], tuple[str, ...]]:
    """({name: value}, {what: number}, notes): pnr, and in percent ndcg_1, ndcg_5, ndcg_10, map.

    What is undefined is left out and told in the notes. relevant: the smallest label that MAP takes as right.
    """
    scores, labels, queries = checked(scores, labels, queries)
    metrics, notes = {}, []
    concordant, discordant = ordered_pairs(scores, labels, queries)
    if discordant:
        metrics["pnr"] = concordant / discordant
    else:
        notes.append(f"PNR is undefined: {concordant:,} pairs of documents are in order and none is not")
    for k in CUTOFFS:
        values = ndcg(scores, labels, queries, k)
        metrics[f"ndcg_{k}"] = 100 * float(values.mean()) if len(values) else 0.0
    precisions = average_precisions(scores, labels, queries, relevant)
    metrics["map"] = 100 * float(precisions.mean()) if len(precisions) else 0.0
    numbers = {
        "graded pairs": len(scores),
        "concordant pairs": concordant,
        "discordant pairs": discordant,
        "queries in NDCG": len(values),
        "queries in MAP": len(precisions),
    }
    for name in ("NDCG", "MAP"):
        if not numbers[f"queries in {name}"]:
            notes.append(f"{name} is 0 because no query counts in it")
    return metrics, numbers, tuple(notes)


def ordered_pairs(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike) -> tuple[int, int]:
    """(concordant, discordant): pairs of a query's documents with different labels, scored in that order or against it.

    PNR is their ratio. A pair with equal scores is in neither number.
    """
    scores, labels, queries = checked(scores, labels, queries)
    concordant = discordant = 0
    for rows in groups(queries):
        order = np.sign(scores[rows][:, None] - scores[rows]) * np.sign(labels[rows][:, None] - labels[rows])
        concordant += int((order > 0).sum()) // 2
        discordant += int((order < 0).sum()) // 2
    return concordant, discordant


def ndcg(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike, k: int) -> np.ndarray:
    """NDCG@k in [0, 1] of every query that has two different labels: gain 2^label - 1, discount log2(1 + rank)."""
    scores, labels, queries = checked(scores, labels, queries)
    found = []
    for rows in groups(queries):
        gain = np.exp2(labels[rows].astype(np.float64)) - 1
        if gain.min() < gain.max():
            discount = 1 / np.log2(2 + np.arange(min(k, len(rows))))
            shown = gain[ranking(scores[rows], labels[rows])][:k]
            found.append((shown * discount).sum() / (np.sort(gain)[::-1][:k] * discount).sum())
    return np.array(found)


def average_precisions(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike, relevant: int) -> np.ndarray:
    """Average precision in [0, 1] of every query that has a document with a label of at least `relevant`."""
    scores, labels, queries = checked(scores, labels, queries)
    found = []
    for rows in groups(queries):
        ranks = 1 + np.flatnonzero(labels[rows][ranking(scores[rows], labels[rows])] >= relevant)
        if len(ranks):
            found.append((np.arange(1, len(ranks) + 1) / ranks).mean())
    return np.array(found)


def ranking(scores: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Positions from the highest score down; of equal scores the lower label comes first."""
    return np.lexsort((labels, -scores))


def groups(queries: np.ndarray) -> list[np.ndarray]:
    """Row numbers of each query."""
    order = np.argsort(queries, kind="stable")
    return np.split(order, 1 + np.flatnonzero(np.diff(queries[order])))


def checked(scores: ArrayLike, labels: ArrayLike, queries: ArrayLike) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Three arrays of one length, scores finite; DataError otherwise."""
    scores, labels, queries = np.asarray(scores, np.float64), np.asarray(labels), np.asarray(queries)
    if not scores.shape == labels.shape == queries.shape or scores.ndim != 1 or not len(scores):
        raise DataError(
            f"scores, labels and queries must be rows of one length, not {scores.shape}, {labels.shape} "
            f"and {queries.shape}"
        )
    if not np.isfinite(scores).all():
        raise DataError(
            f"score {np.flatnonzero(~np.isfinite(scores))[0]} is not finite: the model "
            "gives numbers that are not finite; give another model"
        )
    if labels.dtype.kind not in "iu" or labels.min() < 0:
        raise DataError("labels must be whole numbers from 0; correct the labels")
    return scores, labels, queries

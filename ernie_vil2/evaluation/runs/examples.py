"""Queries of a run with their best images: what a model finds, right or wrong."""

from typing import Any

import numpy as np

from ..metrics.ranks import normalise

SHOWN, BEST = 8, 5


def examples(images: np.ndarray, texts: np.ndarray, pairs: np.ndarray, rank: np.ndarray) -> list[dict[str, Any]]:
    """Evenly spaced texts, the same ones for every model: {query: row, rank: of the best right image, images: rows of
    the best, scores, right} each.

    images [N, D], texts [M, D], raw; pairs int64 [P, 2]: (text row, image row) of all that is right, sorted; rank [Q]:
    of each text of `pairs`, counted from 0.
    """
    asked = np.unique(pairs[:, 0])
    entries, known = [], normalise(images)
    for place in np.unique(np.linspace(0, len(asked) - 1, min(SHOWN, len(asked))).astype(int)):
        query = int(asked[place])
        scores = known @ normalise(texts[query : query + 1])[0]
        best = np.argsort(-scores, kind="stable")[:BEST]
        right = pairs[pairs[:, 0] == query, 1]
        entries.append(
            {
                "query": query,
                "rank": int(rank[place]) + 1,
                "images": best.tolist(),
                "scores": [float(scores[row]) for row in best],
                "right": np.isin(best, right).tolist(),
            }
        )
    return entries

"""Queries of an analysis with their best images: evenly spaced, so that they are the same ones for every model."""

from typing import Any

import numpy as np

from ..metrics.ranks import normalise

SHOWN_QUERIES = 12
BEST = 5


def best_images(images: np.ndarray, texts: np.ndarray, pairs: np.ndarray, rank: np.ndarray) -> list[dict[str, Any]]:
    """{query: row of a text, rank: of its best right image, from 1, images: rows, best first, scores, right} each.

    images [N, D], texts [M, D]: embeddings, normalised or not. pairs: int64 [P, 2] of (text row, image row), sorted;
    texts without a pair ask nothing. rank: int64, from 0, of every text that asks. Scores are cosines; of equal ones a
    wrong image comes first, as `standard` counts them.
    """
    queries = np.unique(pairs[:, 0])
    places = np.unique(np.linspace(0, len(queries) - 1, min(SHOWN_QUERIES, len(queries))).astype(int))
    scores = normalise(texts[queries[places]]) @ normalise(images).T
    asked = []
    for place, row in zip(places, scores, strict=True):
        query = queries[place]
        right = np.zeros(len(images), bool)
        right[pairs[pairs[:, 0] == query, 1]] = True
        best = np.lexsort((right, -row))[:BEST]
        asked.append(
            {
                "query": int(query),
                "rank": int(rank[place]) + 1,
                "images": best.tolist(),
                "scores": row[best].tolist(),
                "right": right[best].tolist(),
            }
        )
    return asked

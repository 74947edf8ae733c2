"""The middles of the lists that rows are divided into: k-means, the same for the same rows."""

import numpy as np

ROUNDS = 8
SEED = 1
MOST_TRAINED = 24
"""Rows a list that the middles are learnt from; more of them hardly change what is found"""


def centroids(sample: np.ndarray, count: int) -> np.ndarray:
    """`count` middles, float32 [count, d], of rows, float32 [n, d]; n is at least `count`."""
    import faiss

    if count == 1:
        return sample.mean(axis=0, keepdims=True)
    options = {"min_points_per_centroid": 1, "max_points_per_centroid": len(sample)}
    clustering = faiss.Kmeans(sample.shape[1], count, niter=ROUNDS, seed=SEED, **options)
    clustering.train(np.ascontiguousarray(sample))
    return clustering.centroids

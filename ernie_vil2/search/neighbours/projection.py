"""A projection onto the directions in which vectors differ most, which keeps cosines as well as so few values can.

It is linear and does not subtract the mean: the product of a query's and a row's projection is their cosine, short of
what lies outside. Embeddings of towers lie near a space of far fewer dimensions than they have values.
"""

import numpy as np

from ...keys import generator

STEP = 64
"""Dimensions are a multiple of this"""
JUDGED, BASE, NEAR, AMONG = 128, 20_000, 10, 20
"""Rows that ask for their `NEAR` nearest of `BASE` rows, and the number of projected ones these must be among"""
ENOUGH = 0.995
ROUNDING = 1e-6
"""By how much the cosines of equal rows may differ"""


def directions(sample: np.ndarray) -> np.ndarray:
    """The directions [min(n, D), D] of rows, float32 [n, D], as lines, those of most squares first."""
    if len(sample) < sample.shape[1]:
        return np.linalg.svd(sample, full_matrices=False)[2]
    _, found = np.linalg.eigh((sample.T @ sample).astype(np.float64))
    return found[:, ::-1].T.astype(np.float32)


def projection(lines: np.ndarray, dims: int) -> np.ndarray:
    """The first `dims` of directions, turned so that each of them holds as much as the others: float32 [dims, D].

    Codes of equal size for values of equal spread lose least.
    """
    turn, _ = np.linalg.qr(generator("projection", dims).standard_normal((dims, dims)))
    return np.ascontiguousarray(turn.astype(np.float32) @ lines[:dims])


def fitting_dims(sample: np.ndarray, lines: np.ndarray) -> int:
    """The fewest dimensions, by `STEP`, in which rows have almost the neighbours that they have in all of them."""
    base, asking = sample[:BASE], sample[-JUDGED:]
    scores = asking @ base.T
    near, among = (min(count, len(base)) for count in (NEAR, AMONG))
    least = np.sort(scores, axis=1)[:, -near, None] - ROUNDING
    for dims in range(STEP, len(lines), STEP):
        projected = (asking @ lines[:dims].T) @ (base @ lines[:dims].T).T
        found = np.take_along_axis(scores, np.argpartition(-projected, among - 1, axis=1)[:, :among], axis=1)
        if np.minimum((found >= least).sum(axis=1), near).mean() >= ENOUGH * near:
            return dims
    return len(lines)

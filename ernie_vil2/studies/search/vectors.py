"""Vectors with the neighbour structure of embeddings of pictures, as many as wanted, the same for the same numbers.

Real ones have a direction in common, lie near a space of some hundred dimensions, and gather in groups of very unequal
size. So: a common direction; 20,000 groups, whose sizes fall with the root of their rank, in a space of 96 dimensions
whose spread falls slowly; members about half as wide as the groups lie apart; noise in all dimensions on top. Questions
are new members (`near`), and `far` ones as sentences are among pictures: a direction of the space at a third, a
direction that all of them share and no picture has, and noise.
"""

from collections.abc import Iterator

import numpy as np

from ...keys import generator

GROUPS, DIMS, BLOCK = 20_000, 96, 50_000
COMMON, INSIDE, NOISE = 0.9, 0.5, 0.3
"""Length of the common direction, of what sets a member apart from its group, and of the noise; groups have 1"""
SIGNAL, GAP, FAR_NOISE = 0.35, 0.75, 0.55
"""Length of the parts of a far question"""
DECAY = 0.25
"""Power of its rank by which the spread of a dimension falls"""
NEAREST, NEAR_COUNT = (1, 10, 100), 20
"""Neighbours whose cosines are told, and how many a local dimension is estimated from"""


class SyntheticVectors:
    """Unit vectors [rows, width] in blocks. width: at least 2."""

    def __init__(self, rows: int, width: int) -> None:
        self.rows, self.width = rows, width
        rng = generator("synthetic", width)
        self.dims = min(DIMS, width - 1)
        axes, _ = np.linalg.qr(rng.standard_normal((width, self.dims + 1)))
        self.axes, self.common = axes[:, 1:].T.astype(np.float32), axes[:, 0].astype(np.float32)
        spread = np.arange(1, self.dims + 1) ** -DECAY
        self.spread = (spread / np.linalg.norm(spread)).astype(np.float32)
        self.groups = rng.standard_normal((GROUPS, self.dims), np.float32) * self.spread
        sizes = np.arange(1, GROUPS + 1) ** -0.5
        self.shares = rng.permutation(sizes / sizes.sum())
        self.gap = unit(rng.standard_normal((1, width), np.float32))

    def blocks(self) -> Iterator[np.ndarray]:
        """float16 [n, width], at most `BLOCK` rows at once."""
        for first in range(0, self.rows, BLOCK):
            count = min(BLOCK, self.rows - first)
            yield self.members(count, generator("members", first)).astype(np.float16)

    def members(self, count: int, rng: np.random.Generator) -> np.ndarray:
        """New vectors [count, width], float32."""
        inside = INSIDE * self.spread * rng.standard_normal((count, self.dims), np.float32)
        places = self.groups[rng.choice(GROUPS, count, p=self.shares)] + inside
        noise = rng.standard_normal((count, self.width), np.float32) * np.float32(NOISE / self.width**0.5)
        return unit(COMMON * self.common + places @ self.axes + noise)

    def questions(self, count: int) -> dict[str, np.ndarray]:
        """{near, far: unit vectors [count, width]}"""
        rng = generator("questions of the study")
        members = self.members(count, rng)
        signal = unit(members - (members @ self.common)[:, None] * self.common)
        noise = unit(rng.standard_normal((count, self.width), np.float32))
        return {"near": self.members(count, rng), "far": unit(SIGNAL * signal + GAP * self.gap + FAR_NOISE * noise)}


def unit(vectors: np.ndarray) -> np.ndarray:
    """Vectors of length 1."""
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def structure(scores: np.ndarray) -> dict[str, float]:
    """What the cosines of the nearest rows, [q, n] from the highest on, tell of where questions lie.

    {cosine N: mean of the N-th}, and `dimension`: the local intrinsic dimension, by maximum likelihood from the
    distances of the first 20. Source: Levina and Bickel, 2004; Amsaleg et al., 2015.
    """
    told = {f"cosine {place}": float(scores[:, place - 1].mean()) for place in NEAREST if place <= scores.shape[1]}
    distances = np.sqrt(np.maximum(2 - 2 * scores[:, :NEAR_COUNT].astype(np.float64), 1e-12))
    ratios = np.log(distances[:, -1:] / distances[:, :-1]).mean(axis=1)
    return {**told, "dimension": float((1 / np.maximum(ratios, 1e-12)).mean())}

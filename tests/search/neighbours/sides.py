"""Sides of an index for tests of its neighbours: vectors in memory, with what a part shows of them."""

import numpy as np

from ernie_vil2.search.neighbours.ranking import best


class Side:
    """A part of an index with given vectors; stands in for `store.part.Part`. ids: by default those from 0 on."""

    side = "image"

    def __init__(self, vectors, ids=None, removed=()):
        self.all = np.asarray(vectors, np.float16)
        self.own_ids = np.arange(len(self.all)) if ids is None else np.asarray(ids, np.int64)
        self.width = self.all.shape[1]
        self.bound = int(self.own_ids[-1]) + 1 if len(self.own_ids) else 0
        self.removed = set(removed)

    def live_ids(self):
        return np.array([number for number in self.own_ids if number not in self.removed], np.int64)

    def __len__(self):
        return len(self.live_ids())

    def halves(self, ids):
        places = np.searchsorted(self.own_ids, ids)
        assert np.array_equal(self.own_ids[places], ids)
        return self.all[places]

    def vectors(self, ids):
        return self.halves(ids).astype(np.float32)

    def blocks(self, rows=1000):
        living = self.live_ids()
        for first in range(0, len(living), rows):
            yield living[first : first + rows], self.halves(living[first : first + rows])


def grouped(rows, width, seed=0, groups=40):
    """Unit vectors [rows, width] in groups, as embeddings lie."""
    rng = np.random.default_rng(seed)
    middles = np.random.default_rng(99).normal(size=(groups, width))
    values = middles[rng.integers(groups, size=rows)] + 0.5 * rng.normal(size=(rows, width)) + 0.5
    return (values / np.linalg.norm(values, axis=1, keepdims=True)).astype(np.float32)


def right(side, queries, k, allowed=None):
    """The k best living rows by plain arithmetic: scores and ids [q, k]."""
    ids = side.live_ids() if allowed is None else np.intersect1d(side.live_ids(), allowed)
    scores = queries @ side.vectors(ids).T
    pairs = [best(row, ids, k) for row in scores]
    return np.stack([one for one, _ in pairs]), np.stack([one for _, one in pairs])

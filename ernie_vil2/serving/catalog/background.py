"""How pictures score that nobody chose: what a score of a query is worth, told by a sample of all rows."""

import threading

import numpy as np

from ...keys import generator
from ...search.query.view import View

SAMPLE = 512
"""Rows that are compared"""
QUANTILES = np.linspace(0.0, 1.0, 33)


class Background:
    """A sample of the rows of each side of an index; the same one for the same state of it."""

    def __init__(self, view: View):
        self.view = view
        self._lock = threading.Lock()
        self._samples: dict[str, np.ndarray] = {}

    def quantiles(self, side: str, vector: np.ndarray) -> list[float] | None:
        """33 rising quantiles, from least to most, of the cosines of sampled rows with a unit vector [D]; None where a
        side has no rows."""
        sample = self._sample(side)
        if not len(sample):
            return None
        scores = np.sort(sample @ vector)  # np.quantile takes five times as long for so few
        return np.interp(QUANTILES, np.linspace(0.0, 1.0, len(scores)), scores).round(6).tolist()

    def _sample(self, side):
        with self._lock:
            if side not in self._samples:
                part = self.view.part(side)
                ids, sequence = part.live_ids(), self.view.snapshot.manifest.sequence
                if len(ids) > SAMPLE:
                    ids = generator("background", side, sequence).choice(ids, SAMPLE, replace=False)
                vectors = part.vectors(np.sort(ids))
                self._samples[side] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
            return self._samples[side]

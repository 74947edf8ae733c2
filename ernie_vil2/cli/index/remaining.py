"""How long a scan is going to take: by how many files are left and how large they are, from what others took."""

import time
from collections import deque
from collections.abc import Callable

import numpy as np

LAST = 60.0
"""Seconds over which a rate is told"""
RIDGE = 1e-4
"""How much the two costs are held together where what was done does not tell them apart"""


class Remaining:
    """Seconds left of a scan whose files differ in size.

    A file takes a time of its own, and a time for each of its bytes; both are fitted, by least squares, to the steps
    that were done. So the large files that come last are counted as what they are.
    """

    def __init__(self, files: int, size: int, clock: Callable[[], float] = time.monotonic):
        self.left = np.array([files, size], np.float64)
        self.clock = clock
        self.products, self.times = np.zeros((2, 2)), np.zeros(2)
        self.steps = deque([(clock(), 0)])
        self.done = 0

    def step(self, files: int, size: int) -> None:
        """So many files with so many bytes were done since the last step."""
        now, amounts = self.clock(), np.array([files, size], np.float64)
        self.products += np.outer(amounts, amounts)
        self.times += amounts * (now - self.steps[-1][0])
        self.left = np.maximum(self.left - amounts, 0)
        self.done += files
        self.steps.append((now, self.done))
        while len(self.steps) > 2 and self.steps[1][0] < now - LAST:
            self.steps.popleft()

    def waited(self, seconds: float) -> None:
        """So many seconds since the last step were no part of it, such as those in which a model was loaded."""
        self.steps = deque((moment + seconds, done) for moment, done in self.steps)

    def rate(self) -> float:
        """Files a second, over the last minute."""
        (began, before), (now, done) = self.steps[0], self.steps[-1]
        return (done - before) / max(now - began, 1e-9)

    def seconds(self) -> float:
        """Seconds that are left; infinite before the first step."""
        if not self.done:
            return float("inf")
        return float(self.left @ self.costs())

    def costs(self) -> np.ndarray:
        """[2]: seconds of a file and of a byte, neither below 0."""
        scale = np.sqrt(np.maximum(np.diag(self.products), 1e-9))
        products = self.products / np.outer(scale, scale) + RIDGE * np.eye(2)
        times = self.times / scale
        costs = np.linalg.solve(products, times)
        if costs.min() < 0:
            best = int(costs[0] < 0)
            costs = np.zeros(2)
            costs[best] = times[best] / products[best, best]
        return costs / scale


def told(seconds: float) -> str:
    """A time for a person: `40 s`, `3 min`, `2 h 10 min`."""
    if seconds < 100:
        return f"{max(seconds, 0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"

"""Resident memory of the loader's processes, as samples go by."""

import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from ...data.batches.loader import Loader
from ...data.batches.order import Order
from ...data.batches.views import ViewMaker
from ...data.sources.base import Sample, Source
from .plain_loader import BATCH, PROFILE, RECIPE, VIEWS


class Drawn(Source):
    """Small pictures made from their number."""

    name = "drawn"

    def __init__(self, size: int):
        self.size = size

    def __len__(self):
        return self.size

    def load(self, index: int) -> Sample:
        rng = np.random.default_rng(index)
        pixels = cv2.resize(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 64))
        return Sample(str(index), cv2.imencode(".jpg", pixels)[1].tobytes(), ("图",), (), self.where(index))


def memory(
    count: int = 100_000, workers: int = 2, every: int = 20_000, note: Callable[[str], object] = lambda line: None
) -> list[tuple[int, float]]:
    """[(samples, MB)]: resident memory of this process and its loader's workers together, as samples go by."""
    maker = ViewMaker(VIEWS, None, PROFILE, RECIPE)
    loader = Loader(Drawn(count), maker, Order(count, BATCH, 0), -(-count // BATCH), workers=workers)
    found, seen = [], 0
    for batch, _ in loader:
        seen += len(batch)
        if seen // every > len(found):
            found.append((seen, sum(memory_of(pid) for pid in (os.getpid(), *loader.pids)) / 2**20))
            note(f"{seen:,} samples: {found[-1][1]:.1f} MB")
    return found


def memory_of(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

"""A tower's graph against its network: on a few inputs without meaning, before it is used for the first time."""

import numpy as np

from ...config.model import ModelConfig
from ...keys import generator
from .engine import Run

LARGEST_DIFFERENCE = 1e-4
"""Of embeddings of length 1; both sides compute in fp32, so that what is seen is about 1e-6"""


class Differs(Exception):
    """A graph computes something else than its network."""


def check_engine(config: ModelConfig, kind: str, run: Run, reference: Run, most_boxes: int = 0) -> None:
    """Differs where `run` and `reference` differ for batches of one and of several items, of several lengths."""
    for size, length in ((1, 5), (3, 8)):
        arrays = meaningless(config, kind, size, length, most_boxes)
        found, wanted = (unit_rows(function(*arrays)) for function in (run, reference))
        difference = np.abs(found - wanted).max() if np.isfinite(wanted).all() else 0.0
        if not difference <= LARGEST_DIFFERENCE:
            raise Differs(f"its embeddings differ from those of the network by {difference:.2g}")


def meaningless(config: ModelConfig, kind: str, size: int, length: int, most_boxes: int = 0) -> tuple[np.ndarray, ...]:
    """Arrays of a batch as a tower takes them, the same every time."""
    draw = generator("self test", kind, size)
    if kind == "text":
        width = config.max_length if config.fixed_length else min(length, config.max_length)
        ids = draw.integers(1, config.text_tower.vocab_size, (size, width))
        ids[-1, max(1, width // 2) :] = 0  # padding
        return (ids.astype(np.int64),)
    side = config.pixels.size
    pixels = draw.standard_normal((size, 3, side, side)).astype(np.float32)
    if not most_boxes:
        return (pixels,)
    corners = np.sort(draw.uniform(0, side, (size, most_boxes + 1, 2, 2)), axis=2).reshape(size, most_boxes + 1, 4)
    counts = draw.integers(1, most_boxes + 2, size)
    return pixels, corners.astype(np.float32), counts.astype(np.int64)


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Rows divided by their lengths."""
    return rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)

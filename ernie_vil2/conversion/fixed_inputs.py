"""What two forms of a model are run on to be compared, and what one of them gives."""

from typing import NamedTuple

import numpy as np

from ..config.model import ModelConfig
from ..config.towers import KINDS

SMALL = 128
"""Side in pixels of the image that convolutional towers are checked with, at most."""


class Inputs(NamedTuple):
    """Fixed inputs of a check: ids int64 [N, L] padded with 0 and pixels float32 [1, 3, S, S]; None for no tower."""

    ids: np.ndarray | None
    pixels: np.ndarray | None


class Result(NamedTuple):
    """Embeddings {"image": [N, D], "text": [N, D]} of the towers that ran, how they were computed, and versions."""

    embeds: dict[str, np.ndarray]
    how: str
    versions: dict[str, str]


class CannotRun(Exception):
    """The reason why a source cannot be run here."""


def fixed_inputs(config: ModelConfig) -> Inputs:
    """The Inputs for a model of this configuration; the same on every machine."""
    ids = pixels = None
    rng = np.random.default_rng(20221)
    if config.text_tower is not None:
        ids = np.zeros((4, config.max_length), np.int64)
        for row, length in zip(ids, (3, 5, max(3, config.max_length // 2), config.max_length), strict=True):
            row[:length] = rng.integers(1, config.text_tower.vocab_size, len(row[:length]))
    if config.image_tower is not None:
        side = config.image_tower.image_size
        if KINDS[config.image_tower.kind].any_size:
            side = min(side, SMALL)  # a large one only costs more
        pixels = rng.standard_normal((1, 3, side, side), dtype=np.float32)
    return Inputs(ids, pixels)

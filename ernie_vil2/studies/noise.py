"""Batches of noise, for what is measured without data."""

import numpy as np

from ..config.model import ModelConfig
from ..config.run import IMAGE_VIEWS
from ..data.batches.views import Batch
from ..systems.registry import system_class

TEXT_LENGTH = 24
VOCABULARY = 40000
"""Rows of the word embedding where a configuration leaves them to the vocabulary of its data"""


def random_batch(
    config: ModelConfig, views: tuple[str, ...], size: int, length: int = TEXT_LENGTH, first: int = 0, untagged: int = 0
) -> Batch:
    """A Batch of `size` samples: uint8 crops, captions of `length` tokens, at most max_length, and for a system that
    takes boxes as many as it takes.

    first: place of the first sample in the global batch; untagged: every so many samples there lack tags, 0: none.
    """
    rng, side = np.random.default_rng(first), config.pixels.size
    place, texts = first + np.arange(size), [view for view in views if view not in IMAGE_VIEWS]
    shape = (size, min(length, config.max_length))
    lacking = place % untagged == 0 if untagged else np.zeros(size, bool)
    pixels = {
        view: rng.integers(0, 256, (size, side, side, 3), dtype=np.uint8) for view in views if view in IMAGE_VIEWS
    }
    most = system_class(config.system).most_boxes(config)
    return Batch(
        pixels=pixels,
        tokens={view: rng.integers(1, config.text_tower.vocab_size, shape) for view in texts},
        image_ids=place,
        text_ids=dict.fromkeys(texts, place),
        present={view: ~lacking if view.startswith("tags") else np.ones(size, bool) for view in texts},
        index=place,
        where=[f"noise:{row}" for row in place],
        boxes={view: random_boxes(rng, size, most, side) for view in pixels if most},
        box_counts={view: np.full(size, most + 1) for view in pixels if most},
    )


def random_boxes(rng: np.random.Generator, size: int, most: int, side: int) -> np.ndarray:
    """float32 [size, most + 1, 4]: boxes anywhere in an image of `side` pixels, and the whole of it last."""
    corners = np.sort(rng.uniform(0, side, (size, most + 1, 2, 2)), axis=2).reshape(size, most + 1, 4)
    corners[:, -1] = [0, 0, side, side]
    return corners.astype(np.float32)

"""One batch at a time, on all cores: what a server wants, where the items of a batch have come from many sides.

`Model.encode_text` and `encode_image` share many items out over the cores, a batch each; a few items are faster as one
batch that all cores compute together, and then the texts of a batch are as long as the one who makes it up likes.
"""

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.images.inputs import AnyImage
from ..data.images.pixels import normalise
from .image_batches import Entry, ImageReader, stacked
from .unit_rows import unit_rows

if TYPE_CHECKING:
    from .model import Model

WARM = "红色"
"""A text to try an engine with"""
MANY, TURNS = 4, 3
"""Texts of the largest batch that is timed, and how often each is"""
HANDED = 0.0005
"""Seconds that a batch costs beside the engine: threads that hand it on, and answers that are told one by one"""
MOST_OVERHEAD = 1000.0
"""Tokens, however the clock went"""
STEP, STEPS = 4, 8
"""The length of a batch is a multiple of STEP tokens, and from STEP x STEPS on one of STEPS lengths between two powers
of two: an engine prepares each shape that it meets, and keeps that in memory, 0.25 MiB of any model"""


class SingleBatches:
    """A model's texts and pictures in single batches; threads may share it. Its network stays in evaluation mode.

    overhead: tokens of texts that are encoded in the time that a batch costs beside them, as `warm` has measured it.
    """

    def __init__(self, model: "Model"):
        self.model, self.width = model, model.embed_dim
        self.sides, self.overhead = model.config.towers(), 0.0
        model.network.eval()
        self._reader = ImageReader(model.config.pixels, model.limits, model.most_boxes)
        self.logit_scale = model.logit_scale if len(self.sides) > 1 else 1.0
        self._default = model.default_boxes() if "image" in self.sides else None

    def warm(self) -> None:
        """Encode something, so that engines are made and compiled, and measure what a batch of texts costs."""
        if "text" in self.sides:
            self.overhead = self._measured()
        if "image" in self.sides:
            side = self.model.config.pixels.size
            self.images([self.pixels(np.zeros((side, side, 3), np.uint8))])

    def _measured(self):
        """The `overhead`: what a batch of a few tokens and one of many take are on a line."""
        own = self.tokens(WARM)
        few, many = [own], [np.resize(own, self.model.config.max_length)] * MANY
        sizes, took = [sum(map(len, batch)) for batch in (few, many)], []
        for batch in (few, many):
            self.texts(batch)
            took.append(min(seconds_of(self.texts, batch) for _ in range(TURNS)))
        token = max((took[1] - took[0]) / (sizes[1] - sizes[0]), 1e-9)
        return min(max((took[0] + HANDED) / token - sizes[0], 0.0), MOST_OVERHEAD)

    def tokens(self, text: str) -> np.ndarray:
        """int64 [L]: the token ids of a text; DataError for one that is none."""
        return self.model.tokenize(text)[0]

    def pixels(self, image: AnyImage) -> Entry:
        """What the network sees of a picture; raises ImageError."""
        return self._reader.read(image)

    def texts(self, tokens: Sequence[np.ndarray]) -> np.ndarray:
        """float32 [N, D], of length 1: the vectors of texts, of which `tokens` gave the ids."""
        width = max(map(len, tokens))
        if len(tokens) > 1:
            width = max(width, min(padded(width), self.model.config.max_length))
        ids = np.full((len(tokens), width), self.model.tokenizer.pad_id, np.int64)
        for row, own in zip(ids, tokens, strict=True):
            row[: len(own)] = own
        return self._run("text", ids)

    def images(self, entries: Sequence[Entry]) -> np.ndarray:
        """float32 [N, D], of length 1: the vectors of pictures, of which `pixels` gave what is seen of them."""
        crops, regions = zip(*entries, strict=True)
        boxed = self.model.engines.of("image").boxed
        boxes = stacked(regions, self._default, self.model.most_boxes if boxed else 0)
        return self._run("image", normalise(np.stack(crops), self.model.config.pixels), *boxes)

    def _run(self, kind, *arrays):
        with self.model.engines.of(kind).session(1) as session:
            return unit_rows(np.array(session.run(*arrays), np.float32))


def padded(length: int) -> int:
    """The length of a batch whose longest text has so many tokens: a few more, an eighth at most from 32 on."""
    step = max(STEP, (1 << length.bit_length()) // (2 * STEPS))
    return -(-length // step) * step


def seconds_of(function: Callable[[Any], Any], item: Any) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    function(item)
    return time.perf_counter() - began

"""Which views exist, which group of pairs they belong to, and how a model encodes a batch of them."""

import numpy as np
import paddle
from paddle import nn

from ..config.model import PixelProfile
from ..config.run import IMAGE_VIEWS, TEXT_VIEWS
from ..data.batches.views import Batch
from ..data.images import pixels
from ..device import current_device
from ..keys import random_key

__all__ = ["IMAGE_VIEWS", "TEXT_VIEWS", "encode", "group_of", "normalise", "to_device"]


def group_of(first: str, second: str) -> str:
    """The temperature group of a pair of views: mm (cross-modal), ii (image-image) or tt (text-text)."""
    images = (first in IMAGE_VIEWS) + (second in IMAGE_VIEWS)
    return ("tt", "mm", "ii")[images]


def encode(
    model: nn.Layer, batch: Batch, seed: int = 0, step: int = 0, micro: int = 0, views: tuple[str, ...] | None = None
) -> dict[str, paddle.Tensor]:
    """{view: L2-normalised embeds [B, D]} of `views` (default: all): the half of an objective that holds the towers.

    Dropout masks depend on (seed, step, global micro-batch, view) alone, so that they can be drawn again.
    """
    embeds = {}
    for view in (*batch.pixels, *batch.tokens):
        if views is not None and view not in views:
            continue
        paddle.seed(random_key(seed, step, micro, view))
        if view in batch.pixels:
            raw = model.encode_image(to_device(batch.pixels[view], model.config.pixels))
        else:
            raw = model.encode_text(paddle.to_tensor(batch.tokens[view]))
        embeds[view] = normalise(raw)
    return embeds


def to_device(crops: np.ndarray, profile: PixelProfile) -> paddle.Tensor:
    """uint8 [B, S, S, 3] -> float32 [B, 3, S, S], normalised; on a card there, so that only bytes cross the bus."""
    if current_device().is_cpu:
        return paddle.to_tensor(pixels.normalise(crops, profile))
    shape = [1, 3, 1, 1]
    with paddle.amp.auto_cast(enable=False):
        mean, std = (paddle.to_tensor(values, "float32").reshape(shape) for values in (profile.mean, profile.std))
        return (paddle.to_tensor(crops).transpose([0, 3, 1, 2]).astype("float32") / 255.0 - mean) / std


def normalise(embeds: paddle.Tensor, epsilon: float = 1e-12) -> paddle.Tensor:
    """Rows of unit length, in float32: [B, D] -> [B, D]."""
    with paddle.amp.auto_cast(enable=False):
        embeds = embeds.astype("float32")
        return embeds / paddle.clip(paddle.sqrt((embeds * embeds).sum(-1, keepdim=True)), min=epsilon)

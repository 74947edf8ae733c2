"""Which views exist, which group of pairs they belong to, and how a model encodes a batch of them."""

import numpy as np
import paddle
from paddle import nn

from ..config.model import PixelProfile
from ..config.run import IMAGE_VIEWS, TEXT_VIEWS
from ..data.batches.views import Batch
from ..data.images import pixels
from ..device import current_device
from ..models.masks import keyed

__all__ = ["IMAGE_VIEWS", "TEXT_VIEWS", "encode", "group_of", "normalise", "to_device"]


def group_of(first: str, second: str) -> str:
    """The temperature group of a pair of views: mm (cross-modal), ii (image-image) or tt (text-text)."""
    images = (first in IMAGE_VIEWS) + (second in IMAGE_VIEWS)
    return ("tt", "mm", "ii")[images]


def encode(
    model: nn.Layer, batch: Batch, seed: int = 0, step: int = 0, micro: int = 0, views: tuple[str, ...] | None = None
) -> dict[str, paddle.Tensor]:
    """{view: L2-normalised embeds [B, D]} of `views` (default: all): the half of an objective that holds the towers.

    The views of a modality are encoded together, one below the other, texts padded to the longest. Dropout masks depend
    on (seed, step, global micro-batch, modality) and on the views that are encoded together, so that they can be drawn
    again.
    """
    embeds = {}
    images, texts = (
        [view for view in group if views is None or view in views] for group in (batch.pixels, batch.tokens)
    )
    if images:
        shown = to_device([batch.pixels[view] for view in images], model.config.pixels)
        with keyed((seed, step, micro, "image"), len(images), len(batch)):
            raw = model.encode_image(shown, *regions(batch, images))
        embeds.update(divided(raw, images))
    for view, raw in batch.embeds.items():
        if views is None or view in views:
            embeds[view] = normalise(paddle.to_tensor(raw))
    if texts:
        ids = paddle.to_tensor(stacked([batch.tokens[view] for view in texts]))
        with keyed((seed, step, micro, "text"), len(texts), len(batch)):
            raw = model.encode_text(ids)
        embeds.update(divided(raw, texts))
    return embeds


def regions(batch: Batch, views: list[str]) -> tuple[paddle.Tensor, ...]:
    """(boxes float32 [views x B, most + 1, 4], counts int64 [views x B]) of image views, or () where there are none."""
    fields = (batch.boxes, batch.box_counts) if batch.boxes else ()
    return tuple(paddle.to_tensor(np.concatenate([field[view] for view in views])) for field in fields)


def divided(raw: paddle.Tensor, views: list[str]) -> dict[str, paddle.Tensor]:
    """{view: L2-normalised embeds [B, D]} from raw embeddings [views x B, D]."""
    embeds = normalise(raw)
    return dict(zip(views, paddle.split(embeds, len(views)) if len(views) > 1 else [embeds], strict=True))


def stacked(tokens: list[np.ndarray]) -> np.ndarray:
    """[sum of rows, longest] of token ids [B, L], padded with 0."""
    if len(tokens) == 1:
        return tokens[0]
    found = np.zeros([sum(map(len, tokens)), max(ids.shape[1] for ids in tokens)], np.int64)
    row = 0
    for ids in tokens:
        found[row : row + len(ids), : ids.shape[1]] = ids
        row += len(ids)
    return found


def to_device(crops: list[np.ndarray], profile: PixelProfile) -> paddle.Tensor:
    """uint8 or float32 [B, S, S, 3] of each view -> float32 [views x B, 3, S, S], normalised; on a card there, so that
    of uint8 only bytes cross the bus."""
    if current_device().is_cpu:
        parts = [pixels.normalise(crop, profile) for crop in crops]
        return paddle.to_tensor(parts[0] if len(parts) == 1 else np.concatenate(parts))
    shape = [1, 3, 1, 1]
    with paddle.amp.auto_cast(enable=False):
        mean, std = (paddle.to_tensor(values, "float32").reshape(shape) for values in (profile.mean, profile.std))
        crop = paddle.to_tensor(crops[0] if len(crops) == 1 else np.concatenate(crops)).transpose([0, 3, 1, 2])
        unit = crop if crop.dtype == paddle.float32 else crop.astype("float32") / 255.0
        return (unit - mean) / std


def normalise(embeds: paddle.Tensor, epsilon: float = 1e-12) -> paddle.Tensor:
    """Rows of unit length, in float32: [B, D] -> [B, D]."""
    with paddle.amp.auto_cast(enable=False):
        embeds = embeds.astype("float32")
        return embeds / paddle.clip(paddle.sqrt((embeds * embeds).sum(-1, keepdim=True)), min=epsilon)

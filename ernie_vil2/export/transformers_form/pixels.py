"""The image processor of a folder of transformers, and how far its pixels are from the model's own.

transformers has one resize, Pillow's. OpenCV's, of the profile `official`, looks at four pixels however much it
shrinks a picture, where Pillow averages over all: the linear filter comes closest of Pillow's six.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from ...checkpoints.layouts.pixels import settings_of
from ...config.model import PixelProfile
from ...conversion.check import unit
from ...inference.engines.dynamic import DynamicEngine
from ...inference.model import Model

PROCESSOR = "preprocessor_config.json"
LEVELS = 255


@dataclass(frozen=True)
class Difference:
    """Of the processor's pixels from the model's own: mean absolute differences in levels of 255, a picture each, and
    the cosines of the embeddings that both give."""

    levels: tuple[float, ...]
    cosines: tuple[float, ...]


def processor_settings(profile: PixelProfile) -> dict[str, Any]:
    """preprocessor_config.json of a CLIPImageProcessor whose pixels are as close to a profile's as it comes."""
    interpolation = "bicubic" if profile.interpolation == "bicubic" else "linear"
    nearest = replace(profile, decoder="pil", interpolation=interpolation, resize_to=profile.resized)
    settings, _ = settings_of(nearest, "CLIPImageProcessor")
    if profile.resize == "square" and profile.resized > profile.size:
        whole = {"height": profile.resized, "width": profile.resized}
        settings |= {"size": whole, "do_center_crop": True}
    return settings


def processor_difference(processor: Callable[..., Any], model: Model, pictures: Sequence[Path]) -> Difference:
    """The Difference on files of pictures, which transformers' own `load_image` opens."""
    from transformers.image_utils import load_image

    ours = np.stack([model.preprocess(path) for path in pictures])
    theirs = np.stack(
        [processor(images=load_image(str(path)), return_tensors="np")["pixel_values"][0] for path in pictures]
    ).astype(np.float32)
    scale = np.array(model.config.pixels.std)[:, None, None] * LEVELS
    levels = (np.abs(theirs - ours) * scale).mean((1, 2, 3))
    with DynamicEngine(model.network, "image").session(1) as session:
        first, second = (unit(session.run(pixels).astype(np.float64)) for pixels in (theirs, ours))
    return Difference(tuple(map(float, levels)), tuple(map(float, (first * second).sum(-1))))


def processor_note(difference: Difference, name: str) -> str:
    """A sentence on it; name: the class of the processor that was run."""
    count = len(difference.levels)
    if max(difference.levels) < 1e-3:
        return f"{name} gives the model's own pixels of {count} drawn pictures"
    levels, cosines = np.array(difference.levels), np.array(difference.cosines)
    return (
        f"{name} does not give the model's own pixels, and is the closest that transformers has: on {count} drawn "
        f"pictures they differ by {levels.mean():.2f} of {LEVELS} levels on average ({levels.min():.2f} to "
        f"{levels.max():.2f}), and embeddings have a cosine of {cosines.mean():.6f} on average, at least "
        f"{cosines.min():.6f}; client.py makes the model's own pixels"
    )

"""The image tower of a run that stays what it is: known by its weights, computing each image by itself."""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

import numpy as np
import paddle
from paddle import nn

from ... import device
from ...config.model import PixelProfile
from ...config.run import RunConfig
from ...objectives.views import to_device
from ...plugins import code_digest
from ...schema import as_dict
from ...threads import SplitThreads, ordered_map, thread_count
from ..step import autocast

GPU_ROWS = 128
Name = TypeVar("Name")


def tower_key(model: nn.Layer, config: RunConfig) -> str:
    """Hexadecimal digest of what an embedding depends on beside the image: weights, settings of the tower and the code
    of one of a user's own, pixel profile, precision and device."""
    train = config.train
    settings = {
        "tower": as_dict(config.model.image_tower),
        "code": code_digest("tower", config.model.image_tower.kind),
        "pixels": as_dict(config.model.pixels),
        "damaged": config.data.damaged,
        "precision": [train.precision, train.amp_level if train.precision != "fp32" else ""],
        "device": device.current_device().kind,
    }
    if code := code_digest("tower", config.model.image_tower.kind):
        settings["code"] = code
    found = hashlib.blake2b(json.dumps(settings, sort_keys=True, default=str).encode(), digest_size=16)
    for name, value in model.visual.state_dict().items():
        array = device.float32_copy(value)
        found.update(f"{name} {array.shape} ".encode())
        found.update(np.ascontiguousarray(array).data)
    return found.hexdigest()


class LockedTower:
    """`encode(crops)`: embeddings float32 [n, D], before they are normalised, in evaluation mode and the precision of
    the run."""

    def __init__(self, model: nn.Layer, config: RunConfig) -> None:
        self.model, self.train = model, config.train
        self.profile: PixelProfile = config.model.pixels

    def encode(self, crops: np.ndarray) -> np.ndarray:
        """crops [n, S, S, 3], uint8 or float32 as a batch has them."""
        with paddle.no_grad(), autocast(self.train.precision, self.train.amp_level):
            return device.float32_copy(self.model.encode_image(to_device([crops], self.profile)))

    def encode_each(self, images: Iterable[tuple[Name, np.ndarray]]) -> Iterator[tuple[Name, np.ndarray]]:
        """(name, embedding float32 [D]) of (name, crop [S, S, 3]): on a CPU each by itself on one thread, side by side,
        on a card in batches. The model is in evaluation mode."""
        on_cpu, images = device.current_device().is_cpu, iter(images)
        size, workers = (1, thread_count()) if on_cpu else (GPU_ROWS, 1)

        def encoded(group):
            names, crops = zip(*group, strict=True)
            return list(zip(names, self.encode(np.stack(crops)), strict=True))

        groups = iter(lambda: list(islice(images, size)), [])
        with SplitThreads(workers) as split:
            for pairs in ordered_map(encoded, groups, workers, workers, split.prepare):
                yield from pairs

"""Keys of earlier batches as negatives: one queue for each view, the same on every rank (MoCo, arXiv 1911.05722)."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import paddle

from ..device import current_device, host_array
from ..errors import CheckpointError, ConfigError
from ..keys import generator
from .gather import Share, all_rows
from .positives import Labels
from .views import TEXT_VIEWS

NOBODY = -1
"""Label of a column that is no key yet; labels are hashes of 64 bits"""
POINTER, EMBEDS, IMAGES, TEXTS, PRESENT = "pointer", "embeds", "image_ids", "text_ids", "present"


def moves(count: int, place: int, size: int) -> list[tuple[slice, slice]]:
    """[(part of `count` new keys, part of a queue of `size`)]: where they go from `place` on, round and round; of more
    keys than it has room for, the last ones."""
    skipped = max(count - size, 0)
    start, left = (place + skipped) % size, count - skipped
    fitting = min(left, size - start)
    found = [(slice(skipped, skipped + fitting), slice(start, start + fitting))]
    if fitting < left:
        found.append((slice(skipped + fitting, count), slice(0, left - fitting)))
    return found


def on_device(values: np.ndarray) -> Any:
    """Labels as `device_labels` has them: arrays on a CPU, tensors on a card."""
    return values if current_device().is_cpu else paddle.to_tensor(values)


def to_host(values: Any) -> np.ndarray:
    """An array of its own of an array or a tensor."""
    return np.array(values if isinstance(values, np.ndarray) else host_array(values))


class NegativeQueue:
    """`size` keys of each view with the labels of their samples; key i of every view is of the same sample.

    It starts with random unit vectors, by seed, which are negatives of everything. `place` is where the next key goes.
    embeds: {view: float32 [size, D]}, made when the first keys come; labels: of all views together.
    """

    def __init__(self, size: int, seed: int = 0) -> None:
        self.size, self.seed, self.place = size, seed, 0
        self.embeds: dict[str, paddle.Tensor] = {}
        self.labels = Labels(on_device(np.full(size, NOBODY)), {}, {}, on_device(np.full(size, NOBODY)))
        self.keys: Mapping[str, paddle.Tensor] = {}
        self.coming: tuple[dict[str, paddle.Tensor], Labels] | None = None

    def _prepare(self) -> None:
        """Make what the views of the keys need, where it is not there yet."""
        for view, key in self.keys.items():
            if view not in self.embeds:
                values = generator(self.seed, "queue", view).standard_normal((self.size, key.shape[1]), np.float32)
                self.embeds[view] = paddle.to_tensor(values / np.linalg.norm(values, axis=1, keepdims=True))
            if view in TEXT_VIEWS and view not in self.labels.text_ids:
                self.labels.text_ids[view] = on_device(np.full(self.size, NOBODY))
                self.labels.present[view] = on_device(np.ones(self.size, bool))

    def take(self, keys: Mapping[str, paddle.Tensor]) -> None:
        """The keys of this rank's rows in the step at hand: {view: [b, D]}, without gradient."""
        self.keys = keys
        self._prepare()

    def gather(self, samples: Labels, share: Share) -> None:
        """Fetch the keys of all ranks, in their order, for `enqueue`; samples: Labels of the whole batch."""
        whole = all_rows(paddle.stack(list(self.keys.values()), axis=1), share)
        self.coming = {view: whole[:, place] for place, view in enumerate(self.keys)}, samples

    def enqueue(self) -> None:
        """Let the keys of the step take the places of the oldest ones; to be called after the backward pass."""
        if self.coming is None:
            if self.keys:
                raise ConfigError(
                    "the loss of this system gathers no keys, so none would ever enter the queue; let it call "
                    "objective.queue.gather, see docs/extending.md"
                )
            return
        keys, samples = self.coming
        self.coming, self.keys = None, {}
        count = len(samples)
        for new, old in moves(count, self.place, self.size):
            for view, values in keys.items():
                write(self.embeds[view], values[new], old)
            write(self.labels.image_ids, samples.image_ids[new], old)
            for view, ids in self.labels.text_ids.items():
                write(ids, samples.text_ids[view][new], old)
                flags = samples.present.get(view)
                flags = on_device(np.ones(new.stop - new.start, bool)) if flags is None else flags[new]
                write(self.labels.present[view], flags, old)
        self.place = (self.place + count) % self.size

    def state(self) -> dict[str, np.ndarray]:
        """{name: array}; `load` takes it back bit for bit."""
        arrays = {POINTER: np.array([self.place]), IMAGES: to_host(self.labels.image_ids)}
        for name, values in ((EMBEDS, self.embeds), (TEXTS, self.labels.text_ids), (PRESENT, self.labels.present)):
            arrays.update({f"{name}.{view}": to_host(each) for view, each in values.items()})
        return arrays

    def load(self, arrays: Mapping[str, np.ndarray], where: str) -> None:
        """Go on from the arrays of `state`; CheckpointError when they are of a queue of another size."""
        sizes = {len(array) for name, array in arrays.items() if name != POINTER}
        if POINTER not in arrays or IMAGES not in arrays or sizes != {self.size}:
            raise CheckpointError(f"{where} holds no queue of {self.size} keys; go on from another checkpoint")
        self.place = int(arrays[POINTER][0])
        self.labels.image_ids = on_device(np.array(arrays[IMAGES]))
        parts = {EMBEDS: self.embeds, TEXTS: self.labels.text_ids, PRESENT: self.labels.present}
        for name, array in arrays.items():
            kind, _, view = name.partition(".")
            if kind in parts and view:
                values = np.array(array)
                parts[kind][view] = paddle.to_tensor(values) if kind == EMBEDS else on_device(values)


def write(target: Any, values: Any, part: slice) -> None:
    """Set a part of the rows of an array or a tensor, in place."""
    if isinstance(target, np.ndarray):
        target[part] = values
    else:
        paddle.assign(values, target._slice(part.start, part.stop))

"""What both sides do in a step: the configuration, inputs of noise, and how many operations that is."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....config.run import IMAGE_VIEWS, RunConfig
from ....schema import as_dict
from ...operations import has_counts, view_flops

PASSES = 3
"""Forward passes that a pass and its gradient are worth"""


def tera_operations(config: RunConfig, views: Iterable[str], length: int) -> float | None:
    """1e12 operations that a pair needs, PASSES forward passes of every view, texts of `length` tokens; None for towers
    whose operations are not counted.

    What the gradient cache and recompute do again is not counted, so the share of the peak tells what they cost.
    """
    if not has_counts(config.model):
        return None
    image, text = view_flops(config.model, length)
    return PASSES * sum(image if view in IMAGE_VIEWS else text for view in views) / 1e12


@dataclass(frozen=True)
class Work:
    """A step of `batch` pairs with texts of `length` tokens. pairs: [(view, view, weight, group of its temperature)];
    inputs: a .npz file of {view: uint8 [n, B, S, S, 3] pixels or int64 [n, B, L] token ids} of n batches."""

    config: RunConfig
    batch: int
    length: int
    pairs: list[tuple[str, str, float, str]]
    inputs: str
    folder: str

    @property
    def views(self) -> list[str]:
        """The views of all pairs."""
        return list(dict.fromkeys(view for first, second, *_ in self.pairs for view in (first, second)))

    def to_dict(self) -> dict[str, Any]:
        """What the process of a side is told, JSON-able."""
        return {**vars(self), "config": as_dict(self.config)}


def write_inputs(path: Path, batches: list[dict[str, np.ndarray]]) -> None:
    """Write the views of several batches."""
    np.savez(path, **{view: np.stack([batch[view] for batch in batches]) for view in batches[0]})


def read_inputs(path: str | Path) -> list[dict[str, np.ndarray]]:
    """The views of each batch."""
    with np.load(path) as stacked:
        views = {view: stacked[view] for view in stacked.files}
    return [{view: views[view][number] for view in views} for number in range(len(next(iter(views.values()))))]

"""What is measured beside the loss: similarities, and norms of gradients and updates per tower."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import paddle

from ..data.batches.views import Batch
from ..objectives.gather import divide
from ..objectives.positives import labels_of, positives
from ..systems.system import Tower
from .optimization.gradients import total_square
from .optimization.slices import each_slice, sliced
from .optimization.weights import Weights

MOST_COMPARED = 1024
"""Samples of a batch that `similarities` compares, each with each: more tell no more, and would take gigabytes"""


@dataclass
class Similarities:
    """Cosine similarities of a batch, of its first MOST_COMPARED samples, between image and caption.

    positive: of every pair of an image and a caption that are positives of each other; hardest_negative: of each image
    with the closest caption that is none, then of each caption with the closest image; negative: of all that are none.
    """

    positive: np.ndarray
    hardest_negative: np.ndarray
    negative: np.ndarray

    def scalars(self) -> dict[str, float]:
        """Means for the log: positive_similarity and hardest_negative_similarity, each where there is any."""
        parts = {"positive_similarity": self.positive, "hardest_negative_similarity": self.hardest_negative}
        return {name: float(values.mean()) for name, values in parts.items() if len(values)}


def similarities(
    embeds: Mapping[str, np.ndarray | paddle.Tensor],
    batch: Batch,
    rule: str = "by_id",
    first: str = "image",
    second: str = "caption",
) -> Similarities | None:
    """Similarities of the normalised {view: embeds [B, D]} (tensors or arrays) of a Batch, or None without these views.

    rule: objective.positives, which says what a positive is. Samples beyond MOST_COMPARED, and those that lack a view,
    are left out.
    """
    if first not in embeds or second not in embeds:
        return None
    rows, columns = (np.asarray(embeds[view][:MOST_COMPARED], np.float32) for view in (first, second))
    own = labels_of(batch, divide(len(batch)))[0].part(slice(MOST_COMPARED))
    both = own.both(first, second)
    rows, columns = rows[both], columns[both]
    same = positives(own, own, first, second, rule)[both][:, both]
    scores = rows @ columns.T
    others = np.where(same, -np.inf, scores)
    hardest = np.concatenate([others.max(1, initial=-np.inf), others.max(0, initial=-np.inf)])
    return Similarities(scores[same], hardest[np.isfinite(hardest)], scores[~same])


Ranges = Mapping[str, list[tuple[int, int]]]
"""{tower: [(start, end)]} in the flat weights, of what may learn; a parameter of two towers counts in both."""


def tower_ranges(weights: Weights, towers: Mapping[str, Tower]) -> Ranges:
    """The Ranges of the towers of a system."""
    return {name: weights.ranges(tower.parameters()) for name, tower in towers.items()}


def norms(squares: Mapping[str, paddle.Tensor], name: str) -> dict[str, float]:
    """{name_image: ..., name_text: ...}: roots of scalars, with one synchronisation."""
    found = paddle.stack(list(squares.values())).numpy()
    return {f"{name}_{tower}": math.sqrt(value) for tower, value in zip(squares, found.tolist(), strict=True)}


def tower_norms(flat: paddle.Tensor, ranges: Ranges, name: str) -> dict[str, float]:
    """`norms` of the parts of a flat buffer that belong to each tower."""
    return norms({tower: total_square([flat._slice(a, b) for a, b in found]) for tower, found in ranges.items()}, name)


class Updates:
    """How far a step moves each tower: `before()` copies the weights that may learn, `after()` compares.

    It costs a copy of these weights in memory for the time between, so it is meant for steps that are logged.
    """

    def __init__(self, weights: Weights, towers: Mapping[str, Tower]) -> None:
        self.weights, self.ranges = weights, tower_ranges(weights, towers)
        self.held: paddle.Tensor | None = None

    def before(self) -> None:
        """Remember the weights; to be called right before the optimizer's step."""
        self.held = paddle.empty([self.weights.learning], "float32")
        each_slice(lambda held, now: paddle.assign(now, held), sliced(self.held, self._weights()))

    def after(self) -> dict[str, float]:
        """{"update_norm_image": ..., "update_norm_text": ...}; {} when `before` was not called."""
        held, self.held = self.held, None
        if held is None:
            return {}
        each_slice(lambda before, now: before.subtract_(now), sliced(held, self._weights()))
        return tower_norms(held, self.ranges, "update_norm")

    def _weights(self) -> paddle.Tensor:
        """Those that may learn, on their memory."""
        return self.weights.values._slice(0, self.weights.learning)

"""What is measured beside the loss: similarities, and norms of gradients and updates per tower."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import paddle

from ..objectives.gather import divide
from ..objectives.positives import labels_of, positives
from ..systems.system import Tower
from .optimization.optimizer import total_square


@dataclass
class Similarities:
    """Cosine similarities of a batch between image and caption.

    positive: of every pair of an image and a caption that are positives of each other; hardest_negative: of each image
    with the closest caption that is none, then of each caption with the closest image; negative: of all that are none.
    """

    positive: np.ndarray
    hardest_negative: np.ndarray
    negative: np.ndarray

    def scalars(self):
        """Means for the log: positive_similarity and hardest_negative_similarity, each where there is any."""
        parts = {"positive_similarity": self.positive, "hardest_negative_similarity": self.hardest_negative}
        return {name: float(values.mean()) for name, values in parts.items() if len(values)}


def similarities(embeds, batch, rule="by_id", first="image", second="caption"):
    """Similarities of the normalised {view: embeds [B, D]} (tensors or arrays) of a Batch, or None without these views.

    rule: objective.positives, which says what a positive is. Samples that lack a view are left out.
    """
    if first not in embeds or second not in embeds:
        return None
    rows, columns = (np.asarray(embeds[view], np.float32) for view in (first, second))
    size = len(rows)
    own, _ = labels_of(batch, divide(size))
    both = own.both(first, second)
    rows, columns = rows[both], columns[both]
    same = positives(own, own, first, second, rule)[both][:, both]
    scores = rows @ columns.T
    others = np.where(same, -np.inf, scores)
    hardest = np.concatenate([others.max(1, initial=-np.inf), others.max(0, initial=-np.inf)])
    return Similarities(scores[same], hardest[np.isfinite(hardest)], scores[~same])


Towers = Mapping[str, Tower]


def by_tower(towers: Towers, wanted: Callable[[paddle.Tensor], paddle.Tensor | None]) -> dict[str, list]:
    """{tower: [wanted(parameter)]}, without None; a parameter of two towers counts in both."""
    found = {name: map(wanted, tower.parameters()) for name, tower in towers.items()}
    return {name: [value for value in values if value is not None] for name, values in found.items()}


def norms(tensors: Mapping[str, list], name: str) -> dict[str, float]:
    """{name_image: ..., name_text: ...}: the norm of all tensors of each tower in fp32, with one synchronisation."""
    found = paddle.stack([total_square(group) for group in tensors.values()]).numpy()
    return {f"{name}_{tower}": math.sqrt(value) for tower, value in zip(tensors, found.tolist(), strict=True)}


def gradient_norms(towers: Towers) -> dict[str, float]:
    """{"grad_norm_image": ..., "grad_norm_text": ...} of the gradients that the towers hold now; 0 for none."""
    return norms(by_tower(towers, lambda parameter: parameter.grad), "grad_norm")


class Updates:
    """How far a step moves each tower: `before()` copies the weights that learn, `after()` compares.

    It costs a copy of these weights in memory for the time between, so it is meant for steps that are logged.
    """

    def __init__(self, towers: Towers) -> None:
        self.towers, self.held = towers, None

    def before(self) -> None:
        """Remember the weights; to be called right before the optimizer's step."""
        learning = (value for tower in self.towers.values() for value in tower.parameters() if not value.stop_gradient)
        self.held = {id(parameter): parameter.detach().clone() for parameter in learning}

    def after(self) -> dict[str, float]:
        """{"update_norm_image": ..., "update_norm_text": ...}; {} when `before` was not called."""
        held, self.held = self.held, None
        if held is None:
            return {}

        def moved(parameter):
            return parameter.detach() - held[id(parameter)] if id(parameter) in held else None

        with paddle.no_grad():
            return norms(by_tower(self.towers, moved), "update_norm")

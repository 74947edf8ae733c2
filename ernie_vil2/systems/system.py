"""What a system is: a model and an objective, with what belongs to both.

A module of this folder holds one system under its own name, `kind`; a system of somebody else's is known once the
class is defined. docs/extending.md has an example.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import paddle
from paddle import nn

from ..config.model import ModelConfig
from ..config.model_size import parameters
from ..config.run import RunConfig
from ..config.tower_fields import Tower as TowerConfig
from ..config.towers import LIBRARIES, keyed_masks
from ..data.batches.views import Batch
from ..errors import ConfigError
from ..models.dual_encoder import new_model
from ..objectives.contrastive import ContrastiveObjective
from ..objectives.gather import Share
from ..objectives.views import encode
from ..schema import build as build_record
from .registry import register


@dataclass(frozen=True)
class Tower:
    """A part of a model: it encodes `views` through `layers`, may be frozen as a whole and has norms of its own.

    Towers whose layers have parameters in common never run backward at the same time.
    """

    views: tuple[str, ...]
    layers: tuple[nn.Layer, ...]

    def parameters(self) -> list[paddle.Tensor]:
        """Every parameter once, also one that several layers hold."""
        held = {id(value): value for layer in self.layers for value in layer.parameters()}
        return list(held.values())


def check_tokens(kind: str, name: str, tower: TowerConfig, kinds: tuple[str, ...]) -> None:
    """ConfigError unless the `name` tower is of one of `kinds` without a projection: the system `kind` reads tokens."""
    if tower.kind not in kinds or tower.projection:
        raise ConfigError(
            f"the system {kind} needs model.{name}_tower of kind {' or '.join(kinds)} with projection: 0, since it "
            f"reads all of its tokens; it is {tower.kind} with projection {tower.projection}"
        )


class System(ABC):
    """A model and an objective; what the trainer asks of them, with answers that hold for most systems.

    kind: the name in `model.system`. Settings: a dataclass of what `model.settings` may hold, or None for nothing.
    `model` is a layer with `config` (ModelConfig), `encode_image(pixels [B, 3, S, S])` and `encode_text(ids [B, L])`,
    both [B, D], `logit_scale(group)`, `temperature(group)`, `groups` and `clamp_temperatures()`, as models.dual_encoder
    has them.
    """

    kind: ClassVar[str]
    Settings: ClassVar[type | None] = None
    loss_factor: ClassVar[float] = 1.0
    """What the loss of a pair is, over the mean cross entropy of its two directions"""
    rows_independent: ClassVar[bool] = False
    """Whether `encode` computes a row from that row alone, with masks of `models.masks` at most, and through
    `self.model`, in which it changes nothing. A class says so for itself: what derives from it does not inherit it."""

    def __init_subclass__(cls, **options):
        super().__init_subclass__(**options)
        cls.rows_independent = vars(cls).get("rows_independent", False)
        if "kind" in vars(cls):
            register(cls.kind, cls)

    @classmethod
    def most_boxes(cls, config: ModelConfig) -> int:
        """Boxes of an image that its model takes, the whole image beside them not counted; 0 where it takes none.

        `encode_image` then has two more arguments: boxes float32 [B, most + 1, 4] in pixels of the network's input, the
        whole image after an image's own and zeros after that, and counts int64 [B] of those that are not zeros.
        """
        return 0

    @classmethod
    def masks_texts(cls, config: ModelConfig) -> bool:
        """Whether a text may be encoded in two ways in training: its tower drops something, or is of a library."""
        tower = config.text_tower
        return tower is not None and (not keyed_masks(tower) or bool(tower.dropout or tower.drop_path))

    def __init__(self, model: nn.Layer, objective: ContrastiveObjective) -> None:
        self.model, self.objective = model, objective

    @classmethod
    def settings(cls, config: ModelConfig) -> Any:
        """`model.settings` as a `Settings`; ConfigError for keys or values that it does not know."""
        if cls.Settings is not None:
            return build_record(cls.Settings, config.settings, "the configuration", "model.settings")
        if config.settings:
            named = ", ".join(map(str, config.settings))
            raise ConfigError(f"model.settings has {named}, but the system {cls.kind} has none")
        return None

    @classmethod
    def parameters(cls, config: ModelConfig) -> dict[str, int]:
        """{part: its parameters}, at most as many as the model has; what a library builds is left out."""
        towers = {name: tower for name, tower in config.towers().items() if tower.kind not in LIBRARIES}
        return {f"{name}_tower": parameters(tower) for name, tower in towers.items()}

    @classmethod
    @abstractmethod
    def network(cls, config: ModelConfig, groups: tuple[str, ...] = ("mm",), biased: bool = False) -> nn.Layer:
        """The model without weights, for training and for loading alike; `groups` and `biased` are of the objective."""

    @classmethod
    def create(cls, config: RunConfig) -> "System":
        """The system of a run with random weights, which depend on its seed alone."""
        cls.settings(config.model)
        objective = cls.objective_of(config)
        return cls(
            new_model(config.model, objective.groups, config.seed, objective.biased, cls.network),
            objective,
        )

    @classmethod
    def objective_of(cls, config: RunConfig) -> ContrastiveObjective:
        """The objective of a run; its `views` are those that a batch must have, known before a model is built."""
        return ContrastiveObjective(config.objective, config.seed)

    @property
    def views(self) -> tuple[str, ...]:
        """The views that a batch must have."""
        return self.objective.views

    @abstractmethod
    def towers(self) -> dict[str, Tower]:
        """The parts by name; every view of the objective is of one of them."""

    def draws_masks(self) -> bool:
        """Whether a forward pass in training is random: towers then take turns, the generator is one a process, unless
        the system is `divisible`."""
        return True

    def divisible(self) -> bool:
        """Whether threads of a CPU may encode at once, also rows of one batch: `rows_independent`, and no tower is of a
        library, whose masks are drawn from Paddle's generator."""
        return self.rows_independent and all(map(keyed_masks, self.model.config.towers().values()))

    def encode(
        self, batch: Batch, seed: int = 0, step: int = 0, micro: int = 0, views: tuple[str, ...] | None = None
    ) -> dict[str, paddle.Tensor]:
        """{view: L2-normalised embeddings [B, D]} of `views`, by default of all that the batch has.

        What is random in it depends on (seed, step, global micro-batch) and on the views that are encoded together, so
        that it can be drawn again.
        """
        return encode(self.model, batch, seed, step, micro, views)

    def loss(
        self, embeds: Mapping[str, paddle.Tensor], batch: Batch, share: Share | None = None
    ) -> dict[str, paddle.Tensor]:
        """{"loss": scalar, name of a part: scalar ...} of this rank's rows, to be summed over ranks.

        A part is nan where no sample of the global batch has what it compares. Where there is none at all, every part
        is nan and the loss is not, or {} is returned, on all ranks: the run stops.
        """
        return self.objective.loss(embeds, batch, self.model, share)

    def before_keys(self) -> None:
        """After the queries are encoded, and before the copy that encodes keys for a queue follows the model."""

    def after_step(self) -> None:
        """After the optimizer's step: temperatures go back into their range, and a queue takes the keys in."""
        self.model.clamp_temperatures()
        queue = getattr(self.objective, "queue", None)
        if queue is not None:
            queue.enqueue()

    def state(self) -> dict[str, np.ndarray]:
        """{name: array} of what is neither parameter nor optimizer, the same on every rank; a checkpoint keeps it."""
        return {}

    def load(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take back what `state` gave, bit for bit."""

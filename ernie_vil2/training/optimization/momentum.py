"""A copy of the model that follows it, and encodes the keys of a queue (MoCo, arXiv 1911.05722)."""

import copy
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import paddle
from paddle import nn

from ...config.run import QueueNegatives
from ...device import float32_copy
from ...errors import CheckpointError, ConfigError
from ...models.towers.batch_norm import is_statistic
from ...systems.system import System
from ..resume import restore_parameters
from .slices import each_slice, sliced
from .weights import Weights


class MomentumCopy:
    """`system` is the trained one with a copy of its model; `follow` moves the copy's fp32 weights towards the model's.

    To be made before the model's own `Weights`; `start` then takes their layout. Running statistics of batch norms are
    moved by what the copy encodes where they learn, or are the model's (`negatives.statistics`).
    """

    def __init__(self, system: System, config: QueueNegatives) -> None:
        if getattr(system.objective, "queue", None) is None:
            raise ConfigError(
                f"objective.negatives is a queue, but the objective of the system {system.kind} has none; set "
                "objective.negatives: batch, or make it with ContrastiveObjective"
            )
        self.config, self.original = config, system.model
        self.system = copy.copy(system)
        self.system.model = copy.deepcopy(system.model)
        self.system.model.recompute = False
        self.system.model.train()

    def start(self, weights: Weights, low: Iterable[str]) -> None:
        """Be equal to the model, from its `weights` on."""
        self.of_model = weights
        self.weights = Weights(self.system.model, weights.keys, low, weights.dtype)
        for parameter in self.system.model.parameters():
            parameter.stop_gradient = True
        with paddle.no_grad():
            paddle.assign(weights.values, self.weights.values)
            self.weights.round()
            self._copy_statistics()

    def begin(self, take: Callable[[nn.Layer], None]) -> None:
        """Be what `take(model)` makes of the copied model, after `start`."""
        with self.weights.shown():
            take(self.system.model)
        self.weights.round()

    def follow(self) -> None:
        """copy = momentum * copy + (1 - momentum) * model, in fp32, with the weights as they are."""
        if self.of_model.low is not None:
            self.of_model.take_over()
        with paddle.no_grad():
            if self.config.momentum:
                share = paddle.full([1], 1.0 - self.config.momentum, "float32")
                own, models = self.weights.values, self.of_model.values
                each_slice(lambda part, models_part: part.lerp_(models_part, share), sliced(own, models))
            else:
                paddle.assign(self.of_model.values, self.weights.values)
            self.weights.round()
            if self.config.statistics == "copied":
                self._copy_statistics()

    def _copy_statistics(self) -> None:
        own = dict(self.system.model.named_parameters())
        for name, value in self.original.named_parameters():
            if is_statistic(name):
                paddle.assign(value, own[name])

    def state(self) -> dict[str, np.ndarray]:
        """{name: float32 array} of the copy, low-rank updates and running statistics too."""
        with self.weights.shown():
            return {key: float32_copy(value) for key, value in self.system.model.state_dict().items()}

    def load(self, arrays: Mapping[str, Any], path: str) -> None:
        """Go on from the arrays of `state`; CheckpointError where there are none, or of another model."""
        if not arrays:
            raise CheckpointError(f"{path} holds no momentum copy of the model; go on from another checkpoint")
        with self.weights.shown():
            restore_parameters(self.system.model, arrays, path)
        self.weights.round()

"""What takes steps: a system with its optimizer, the sum of gradients over ranks, loss scale, average and guard.

The trainer, the doctor, the benchmarks and the studies take the same steps, because `build` makes the one rig of all.
"""

import copy
import logging
import math
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any

import numpy as np
import paddle

from ..config.run import QueueNegatives, RunConfig
from ..data.batches.views import Batch
from ..device import float32_copy
from ..errors import DataError, cause_of
from ..models.lora import add_lora, merged_state
from ..models.towers.batch_norm import learns_statistics
from ..objectives.gather import Share, divide
from . import diagnostics
from .distributed import GradientSync, Ranks, owners
from .figures import read_figures
from .guard import Guard
from .optimization.ema import Ema
from .optimization.freeze import Freezer, freeze_adapted
from .optimization.gradients import Gradients
from .optimization.loss_scale import LossScale
from .optimization.momentum import MomentumCopy
from .optimization.optimizer import AdamW, clip_factor, learning_rate, weight_keys
from .optimization.weights import Weights, low_precision_names
from .resume import restore_parameters
from .setup.initial_weights import start_system, take_copy
from .setup.preflight import check_layers
from .step import GradientStep, autocast

LOG = logging.getLogger("ernie_vil2")
Arrays = Mapping[str, np.ndarray]


class Rig:
    """`step(batch, number)` takes one optimizer step on this rank's rows of a global batch.

    system and model are what learns; share says which rows are this rank's. Of the last step: `parts` are the names of
    the parts of its loss, `similarities` its similarities where it was shown, `flags` what any rank answered to
    `ahead`. `done` steps are in the weights; `updating`: a step ended while it changed them, or what belongs to them,
    which are then of no step.
    """

    def __init__(self, config: RunConfig, ranks: Ranks, share: Share, notes: list[str], fresh: bool = True) -> None:
        train = config.train
        self.config, self.ranks, self.share = config, ranks, share
        with paddle.utils.unique_name.guard():
            self.system = start_system(config, notes, fresh)
            self.model = self.system.model
            self.model.recompute = train.recompute
            check_layers(config, self.system, share)
            add_lora(self.model, config.lora, config.seed)
        freeze_adapted(self.system, config.lora, bool(config.init.model))
        self.freezer, sharded = Freezer(self.model, config.optimizer.freeze), bool(train.sharding) and ranks.size > 1
        owner = owners(self.model.named_parameters(), ranks.size) if sharded else {}
        keys = weight_keys(self.model, config.optimizer, owner, self.freezer.learning_ever())
        low = low_precision_names(self.model) if train.precision != "fp32" and train.amp_level == "O2" else ()
        negatives = config.objective.negatives
        self.momentum = MomentumCopy(self.system, negatives) if isinstance(negatives, QueueNegatives) else None
        self.weights = Weights(self.model, keys, low)
        self.gradients = Gradients(self.weights, owner)
        self.sync = GradientSync(self.gradients, ranks, train.sharding)
        ranks.wait()
        self.sync.same_start()
        if self.momentum is not None:
            self.momentum.start(self.weights, low)
            if fresh and config.init.model:
                self.momentum.begin(lambda copied: take_copy(copied, config.init.model, notes))
        self.optimizer = AdamW(self.weights, config.optimizer, ranks.rank if sharded else 0)
        self.scale = LossScale() if train.precision == "fp16" else None
        self.ema = Ema(self.weights, train.ema) if train.ema else None
        collect = (lambda: self.gradients.collect(low_only=True)) if low else None
        self.gradient_step = GradientStep(
            self.system, config.seed, share, train.precision, train.amp_level, after=collect, momentum=self.momentum
        )
        self.guard = Guard(config.output, train.spike, ranks.rank)
        self.towers = self.system.towers()
        self.updates = diagnostics.Updates(self.weights, self.towers)
        self.similarities, self.updating, self.done = None, False, 0
        self.parts: tuple[str, ...] = ()
        self.flags: tuple[bool, ...] = ()
        learnt = any(map(learns_statistics, self.model.sublayers()))
        self.moving = learnt or self.momentum is not None or bool(self.system.state())
        """whether a forward pass changes what is saved"""
        self.model.train()

    @property
    def parameter_count(self) -> int:
        """Values of all parameters."""
        return sum(math.prod(value.shape) for value in self.model.parameters())

    @property
    def rate(self) -> float:
        """The learning rate of the next step."""
        return learning_rate(self.done, self.config.optimizer, self.config.train.steps)

    def step(
        self, batch: Batch, number: int, show: bool = True, ahead: Callable[[], Sequence[bool]] = tuple
    ) -> dict[str, float]:
        """One optimizer step, `number` from 0; returns what the log shows of it, with `show` the costlier figures too.

        ahead: called while the device still computes the gradient; its answers are joined over ranks into `flags`.
        The host waits for the device once, for all that it has to know of the step (`StepFigures`), and with `show` for
        more. Raises DataError where no sample of the batch has both views of any pair, UserError where the loss or the
        gradient is no number, on all ranks.
        """
        with self.ranks.together():
            return self._step(batch, number, show, ahead)

    def _step(self, batch: Batch, number: int, show: bool, ahead: Callable[[], Sequence[bool]]) -> dict[str, float]:
        self.freezer.apply(number)
        self.updating = self.moving
        self.ranks.meet()  # rank 0 may have written a line or pictures for long
        parts = self.gradient_step(batch, number, self.scale.value if self.scale else 1.0)
        if not parts:
            raise self._nothing_compared(batch, number)
        with self.ranks.apart():
            flags = ahead()
        self.gradients.collect()
        self.ranks.meet()  # a loader may have been slow
        self.sync.reduce()
        if self.scale:
            self.gradients.scale(1.0 / self.scale.value)
        figures = read_figures(parts, flags, self.gradients, self.sync)
        self.flags, norm, taken = figures.flags, figures.norm, True
        if not figures.counted:
            raise self._nothing_compared(batch, number)
        values = {"loss": figures.loss, **figures.parts}
        self.parts = tuple(figures.parts)
        self.guard.check(number, figures.loss, norm, batch, skippable=self.scale is not None)
        if show:
            values.update(self._shown(batch))
            self.updates.before()
        values["lr"], values["grad_norm"] = self.rate, norm
        self.updating = True
        if self.scale:
            taken = self.scale.update(norm)
            values["loss_scale"] = self.scale.value
        if taken:
            factor = clip_factor(norm, self.config.optimizer.clip)
            if factor != 1.0:
                self.gradients.scale(factor)
            self.optimizer.step(self.gradients, self.rate)
            self.sync.publish()
        self.gradients.clear()
        self.system.after_step()
        if self.ema is not None:
            self.ema.update()
        self.updating, self.done = False, number + 1
        if show:
            values.update(told(self.updates.after))
            values.update({f"logit_scale_{name}": self.model.logit_scale(name).item() for name in self.model.groups})
        return values

    def _nothing_compared(self, batch: Batch, number: int) -> DataError:
        return DataError(
            f"step {number + 1}: no sample of the batch has both views of any pair; check that the source has the "
            f"views {', '.join(self.system.views)}, first sample {batch.where[0]}"
        )

    def _shown(self, batch: Batch) -> dict[str, float]:
        """Similarities, and norms of gradients by tower."""
        embeds, rule = self.gradient_step.embeds, self.config.objective.positives
        self.similarities = told(lambda: diagnostics.similarities(embeds, batch, rule)) or None
        own = self.sync.own
        squares = {name: self.gradients.squared_norm(found, own) for name, found in self.updates.ranges.items()}
        norms = diagnostics.norms(squares, "grad_norm")
        if own is not None:
            norms = {name: math.sqrt(self.ranks.sum([norm**2])[0]) for name, norm in norms.items()}
        return {**(self.similarities.scalars() if self.similarities else {}), **norms}

    def averaged(self) -> AbstractContextManager:
        """Inside the block the model has the weights that are evaluated and saved, in fp32."""
        return self.ema.applied() if self.ema is not None else self.weights.shown()

    def precision(self) -> AbstractContextManager:
        """Inside the block towers with weights in fp32 run in the precision of the run."""
        return autocast(self.config.train.precision)

    def exported(self) -> dict[str, np.ndarray]:
        """{key: array} of the model to use, in its released layout: averaged and merged where the run does that."""
        with self.averaged():
            return merged_state(self.model)

    def state(self) -> dict[str, dict[str, np.ndarray]]:
        """{group: {name: array}}, beside the exported model, of all that a step goes on from; the same on every rank.

        parameters: the trained ones, where they differ from the exported model; average: of `Ema`; momentum: the copy
        that encodes keys; queue: of negatives; system: its own.
        """
        groups = {"system": self.system.state()}
        if self.momentum is not None:
            groups["momentum"], groups["queue"] = self.momentum.state(), self.system.objective.queue.state()
        if self.ema is not None or self.config.lora.rank:
            with self.weights.shown():
                groups["parameters"] = arrays_of(self.model)
        if self.ema is not None:
            groups["average"] = self.ema.state()
        return {name: arrays for name, arrays in groups.items() if arrays}

    def shard_state(self) -> dict[str, dict[str, np.ndarray]]:
        """{group: {name: array}} of what this rank holds, to be joined over ranks: the optimizer's state."""
        if self.ranks.main or self.sync.sharding:
            return {"optimizer": self.optimizer.state()}
        return {}

    def load(self, groups: Mapping[str, Arrays], state: Mapping, path: str | os.PathLike) -> None:
        """Go on from the groups of a checkpoint (`state` and `shard_state` of all ranks, and "model", the exported
        one) and from its state.json; CheckpointError where they are of another model."""
        with self.weights.shown():
            restore_parameters(self.model, groups.get("parameters", groups["model"]), path)
        self.optimizer.load(groups.get("optimizer", {}))
        self.done = state["step"]
        if self.scale is not None and state["loss_scale"]:
            self.scale.load(state["loss_scale"])
        if self.ema is not None:
            self.ema = Ema(self.weights, self.config.train.ema)
            if "average" in groups:
                self.ema.load(groups["average"])
        if self.momentum is not None:
            self.momentum.load(groups.get("momentum", {}), path)
            self.system.objective.queue.load(groups.get("queue", {}), path)
        self.system.load(groups.get("system", {}))

    def close(self) -> None:
        """End the threads."""
        self.gradient_step.close()


def told(diagnostic: Callable[[], Any]) -> Any:
    """What a diagnostic finds, or {} where it fails: it only shows something."""
    try:
        return diagnostic()
    except Exception as error:
        LOG.warning("a diagnostic is left out: %s", cause_of(error))
        return {}


def arrays_of(model: paddle.nn.Layer) -> dict[str, np.ndarray]:
    """{key: float32 array} of the model's parameters."""
    return {key: float32_copy(value) for key, value in model.state_dict().items()}


def build(config: RunConfig, batch_size: int | None = None) -> Rig:
    """The rig of a configuration for one process by itself, on batches of `batch_size` (default: the run's own). What
    would stop it is told in the system's temporary folder, not in the run's."""
    config = copy.deepcopy(config)
    config.train.spike, config.output = 0.0, tempfile.gettempdir()
    share = divide(batch_size or config.train.batch_size, config.train.micro_batch)
    return Rig(config, Ranks(), share, [])

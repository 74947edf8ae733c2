"""A run tried in small, for the doctor: how fast batches are made, and what steps on one of them do."""

import copy
import math
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ...config.run import BatchNegatives, RunConfig
from ...data.batches.loader import Loader
from ...data.batches.views import Batch
from ...device import current_device
from ...errors import UserError
from ...objectives.gather import divide
from ...objectives.positives import labels_of, positives
from ..diagnostics import Updates, tower_norms
from ..trainer import Trainer
from .alike import nothing_to_learn, pictures

BATCH_ON_CPU, BATCH_ON_GPU = 32, 256
"""Most pairs of the batch that is tried; memory and time are scaled to the run's own."""
STEPS = 40
PATIENCE = 180.0
"""Seconds after which no further step is tried."""
LOADER_SECONDS = 10.0
LEARNT = 0.75
"""Share of what could be learnt of the loss that may be left after the steps."""
MOST_MOVED = 1.0
"""Share of its own norm that a tower may move in these steps: beyond, a loss that is not learnt was leapt over."""
WARM = 3
"""Steps after which a step is timed well enough to say how long the others take"""


def trial(config: RunConfig, folder: str | os.PathLike) -> RunConfig:
    """The configuration that is tried: a batch that fits, the peak learning rate at once, a folder of its own.

    Negatives are those of the batch: random vectors, which a queue starts with, have no loss that guessing would give,
    and are told apart from keys by towers that know nothing.
    """
    config = copy.deepcopy(config)
    config.output = str(folder)
    most = BATCH_ON_CPU if current_device().is_cpu else BATCH_ON_GPU
    config.train.batch_size = min(config.train.batch_size, most)
    config.train.spike, config.data.cache_locked = 0.0, False
    config.objective.negatives, config.objective.temperature = BatchNegatives(), None
    config.optimizer.schedule = "constant"
    config.optimizer.warmup = min(config.optimizer.warmup, 3)
    return config


@dataclass
class Loading:
    """A batch, and how fast one process makes such batches, in samples a second."""

    batch: object
    rate: float


def timed_batches(trainer: Trainer) -> Loading:
    """Make batches in this process, on one thread as a worker does."""
    import cv2

    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        batches = iter(Loader(trainer.source, trainer.maker, trainer.order, 16, workers=0))
        first, began, made = next(batches)[0], time.perf_counter(), 0
        for batch, _ in batches:
            made += len(batch)
            if time.perf_counter() - began > LOADER_SECONDS:
                break
        return Loading(first, made / (time.perf_counter() - began))
    finally:
        cv2.setNumThreads(threads)


class Learning:
    """Steps on one batch: their losses, their seconds, the loss parts of the first, and what stopped them if any.

    moved: how far the weights of a tower went in all, over their norm.
    """

    def __init__(self, trainer: Trainer, batch: Batch) -> None:
        self.trainer, self.batch = trainer, batch
        self.losses, self.seconds, self.first, self.error, self.moved = [], [], {}, None, 0.0

    def run(self, patience: float | None = None, timed: Callable[[float], object] = lambda seconds: None) -> None:
        """Take up to STEPS steps, for `patience` seconds, by default PATIENCE; `timed` is called once, with the seconds
        that those to come should take."""
        patience = PATIENCE if patience is None else patience
        rig = self.trainer.rig
        updates = Updates(rig.weights, rig.towers)
        weights = tower_norms(rig.weights.values, updates.ranges, "norm")
        updates.before()
        self._steps(patience, timed)
        moved = updates.after().values()
        self.moved = max(update / max(weight, 1e-9) for update, weight in zip(moved, weights.values(), strict=True))

    def _steps(self, patience, timed):
        self.trainer.rig.model.train()
        began = time.perf_counter()
        try:
            for step in range(STEPS):
                start = time.perf_counter()
                values = self.trainer.rig.step(self.batch, step)
                self.seconds.append(time.perf_counter() - start)
                self.first = self.first or values
                self.losses.append(values["loss"])
                spent = time.perf_counter() - began
                if spent > patience:
                    break
                if len(self.seconds) == WARM:
                    timed(min((STEPS - WARM) * self.seconds[-1], patience - spent))
        except UserError as error:
            self.error = str(error)

    @property
    def rate(self) -> float:
        """Pairs a second of a step; the first steps, which warm up, do not count."""
        return len(self.batch) / statistics.median(self.seconds[2:] or self.seconds)

    def learnt(self) -> int | None:
        """Steps until no more than LEARNT of what could be learnt of the loss was left; None where more is at the end.

        The best of the last three counts, since dropout moves each of them.
        """
        objective = self.trainer.config.objective
        least = self.expected()[1] if objective.loss == "infonce" else 0.0
        enough = self.losses[0] - (1 - LEARNT) * abs(self.losses[0] - least)  # a loss of a user's own may be below 0
        if min(self.losses[-3:]) > enough:
            return None
        return next(step for step in range(1, len(self.losses) + 1) if self.losses[step - 1] <= enough)

    def leapt(self) -> bool:
        """Whether the loss rose, or the weights moved by as much as they are."""
        return self.moved > MOST_MOVED or max(self.losses) > self.losses[0] + 0.05 * abs(self.losses[0])

    def hopeless(self) -> str | None:
        """Why nothing can be learnt of the batch, and what to do; None where something can."""
        objective = self.trainer.config.objective
        contents = pictures(self.trainer.source, self.batch)
        return nothing_to_learn(self.batch, contents, objective.weighted_pairs(), objective.positives)

    @property
    def factor(self) -> float:
        """What the system's loss is, over the mean cross entropy of both directions."""
        return self.trainer.rig.system.loss_factor

    def bounds(self) -> dict[tuple[str, str], tuple[float, float]]:
        """{(view, view): (loss of equal similarities, least loss)}: ln of the samples that have both views, whatever
        the number of positives, and the entropy of the targets, above 0 where a row has several positives; both times
        `factor`."""
        objective, found = self.trainer.config.objective, {}
        own, _ = labels_of(self.batch, divide(len(self.batch)))
        for first, second, _ in objective.weighted_pairs():
            both = own.both(first, second)
            if both.any():
                same = positives(own, own, first, second, objective.positives)[both][:, both]
                least = (np.log(same.sum(0)).mean() + np.log(same.sum(1)).mean()) / 2
                found[first, second] = (self.factor * math.log(both.sum()), self.factor * float(least))
        return found

    def expected(self) -> list[float]:
        """(loss of equal similarities, least loss) of the weighted pairs together; zeros where no sample has one."""
        bounds = self.bounds()
        if not bounds:
            return [0.0, 0.0]
        weights = {(first, second): weight for first, second, weight in self.trainer.config.objective.weighted_pairs()}
        return np.average(list(bounds.values()), axis=0, weights=[weights[pair] for pair in bounds]).tolist()

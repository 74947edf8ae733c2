"""A run tried in small, for the doctor: how fast batches are made, and what steps on one of them do."""

import copy
import math
import os
import statistics
import time
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


def trial(config: RunConfig, folder: str | os.PathLike) -> RunConfig:
    """The configuration that is tried: a batch that fits, the peak learning rate at once, a folder of its own.

    Negatives are those of the batch: random vectors, which a queue starts with, have no loss that guessing would give,
    and are told apart from keys by towers that know nothing.
    """
    config = copy.deepcopy(config)
    config.output = str(folder)
    most = BATCH_ON_CPU if current_device().is_cpu else BATCH_ON_GPU
    config.train.batch_size = min(config.train.batch_size, most)
    config.train.spike = 0.0
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

    def run(self) -> None:
        """Take up to STEPS steps."""
        rig = self.trainer.rig
        updates = Updates(rig.weights, rig.towers)
        weights = tower_norms(rig.weights.values, updates.ranges, "norm")
        updates.before()
        self._steps()
        moved = updates.after().values()
        self.moved = max(update / max(weight, 1e-9) for update, weight in zip(moved, weights.values(), strict=True))

    def _steps(self):
        self.trainer.rig.model.train()
        began = time.perf_counter()
        try:
            for step in range(STEPS):
                start = time.perf_counter()
                values = self.trainer.rig.step(self.batch, step)
                self.seconds.append(time.perf_counter() - start)
                self.first = self.first or values
                self.losses.append(values["loss"])
                if time.perf_counter() - began > PATIENCE:
                    break
        except UserError as error:
            self.error = str(error)

    @property
    def rate(self) -> float:
        """Pairs a second of a step; the first steps, which warm up, do not count."""
        return len(self.batch) / statistics.median(self.seconds[2:] or self.seconds)

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

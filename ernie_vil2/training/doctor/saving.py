"""What a run would save by keeping the embeddings of a locked image tower, timed on the batch that was tried."""

import dataclasses
import statistics
import time
from dataclasses import dataclass

import numpy as np

from ...config.locking import cache_fault
from ...config.run import RunConfig
from ...errors import UserError
from ...threads import thread_count
from ..locked.tower import LockedTower
from ..optimization.freeze import learning_of_tower
from ..trainer import Trainer
from .trial import Learning, Loading

STEPS = 6


@dataclass
class Saving:
    """Pairs a second of a step with kept embeddings, and images a second that are encoded before the first step."""

    rate: float
    encoding: float

    def seconds(self, config: RunConfig, samples: int, loader: Loading) -> float:
        """About what a run takes in one process, where each of its images is looked at once."""
        pairs = config.train.steps * config.train.batch_size
        images = min(pairs, samples)
        return pairs / self.rate + images / self.encoding + images / (loader.rate * thread_count())


def measured_saving(trainer: Trainer, learning: Learning) -> Saving | None:
    """Further steps on the batch with embeddings instead of pixels; None where an image has no single embedding, or
    where the steps of the batch, or these, went wrong."""
    config, rig, batch = trainer.config, trainer.rig, learning.batch
    fault = cache_fault(config.model, config.data, config.objective.views(), config.lora.adapted())
    if fault or learning.error or learning_of_tower(rig.model, rig.freezer):
        return None
    rig.model.eval()
    began = time.perf_counter()
    embeds = dict(LockedTower(rig.model, config).encode_each(enumerate(batch.pixels["image"])))
    encoding = len(batch) / (time.perf_counter() - began)
    rig.model.train()
    kept = dataclasses.replace(batch, pixels={}, embeds={"image": np.stack([embeds[row] for row in range(len(batch))])})
    seconds = []
    try:
        for number in range(rig.done, rig.done + STEPS):
            began = time.perf_counter()
            rig.step(kept, number)
            seconds.append(time.perf_counter() - began)
    except UserError:
        return None
    return Saving(len(batch) / statistics.median(seconds[2:]), encoding)

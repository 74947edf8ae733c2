"""The trainer's own step on noise: what the loop does around it, the line and the figures of its log included.

Left out is what other processes do while a step computes (reading and augmenting), and what few steps have
(checkpoints and validations).
"""

import copy
import itertools
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ....config.optimizer import MAX_STEPS
from ....config.run import RunConfig
from ....data.batches.row_counts import RowCounts
from ....data.batches.views import Batch
from ....device import current_device
from ....files.leftovers import scratch_folder
from ....stop import StopRequest
from ....training.distributed import Ranks
from ....training.log.run_log import RunLog
from ....training.loop import Walk
from ....training.rig import Rig, build
from ....training.setup.preflight import check_precision
from ...noise import TEXT_LENGTH, VOCABULARY, random_batch
from ..step_parts import FIGURES, LOG, StepClock, parts_timed
from .work import tera_operations

BATCHES = 2
"""Different ones, which take turns"""

Parts = dict[str, float]
"""{part of a step: seconds by the clock, "step": of all of it}"""


class NoiseBatches:
    """Stands where a run has its Loader: batches that were made before, without end, no row of them bad."""

    note = ""

    def __init__(self, batches: list[Batch]) -> None:
        self.batches, self.counts = batches, RowCounts(sum(map(len, batches)))

    def __iter__(self) -> Iterator[tuple[Batch, list]]:
        return ((batch, []) for batch in itertools.cycle(self.batches))


@dataclass
class MeasuredRun:
    """Stands where the loop has its Trainer, in a run that neither saves nor validates."""

    config: RunConfig
    folder: Path
    ranks: Ranks
    rig: Rig
    first: int = 0
    stopped: bool = False
    validation: None = None


def measured_config(config: RunConfig, batch: int) -> RunConfig:
    """A copy of a run on batches of this size that never ends, saves or validates."""
    config = copy.deepcopy(config)
    config.model.text_tower.vocab_size = config.model.text_tower.vocab_size or VOCABULARY
    train = config.train
    train.batch_size, train.steps = batch, MAX_STEPS
    train.eval_every, train.save_every, train.save_minutes = 0, 0, 0.0
    return config


def noise(config: RunConfig, views: Iterable[str], batch: int, length: int) -> list[Batch]:
    """BATCHES batches, always the same ones."""
    return [random_batch(config.model, tuple(views), batch, length, number * batch) for number in range(BATCHES)]


class TrainerSteps:
    """`take(steps)` takes steps of a run as its loop does, after two that warm up; the log goes to `folder`.

    Raises ConfigError for a precision that is not there on this device.
    """

    def __init__(self, config: RunConfig, batch: int, length: int, folder: Path) -> None:
        check_precision(config.train)
        config = measured_config(config, batch)
        self.config, self.rig, self.clock = config, build(config, batch), StepClock(time.perf_counter)
        self.log = RunLog(folder / "run", config.train.steps, console=config.train.console)
        run = MeasuredRun(config, folder, self.rig.ranks, self.rig)
        self.walk = Walk(
            run, NoiseBatches(noise(config, self.rig.system.views, batch, length)), self.log, StopRequest()
        )
        self.walk.batches = iter(self.walk.loader)
        self.walk.fetch()
        self.take(1)
        self.rig.done = max(self.rig.done, config.train.log_every - 1)  # the next one is shown
        (self.shown,) = self.take(1)

    def take(self, steps: int) -> list[Parts]:
        """The Parts of so many steps; what the log asks of some is divided among all of them."""
        device, done = current_device(), len(self.clock.steps)

        def step() -> None:
            self.walk.step()
            device.synchronise()

        with parts_timed(self.rig, self.clock, (LOG, self.log, "step")):
            for _ in range(steps):
                self.clock.step(step)
        return self.clock.steps[done:]

    def spread(self, found: list[Parts]) -> list[Parts]:
        """Steps with the part of each in the figures that one of `train.log_every` has."""
        shares = {part: self.shown.get(part, 0.0) / self.config.train.log_every for part in (FIGURES, LOG)}
        spread = []
        for step in found:
            rest = step["step"] - sum(step.get(part, 0.0) for part in shares)
            spread.append({**step, **shares, "step": rest + sum(shares.values())})
        return spread

    def close(self) -> None:
        """End the threads, and the log."""
        self.rig.close()
        self.log.close()


def throughput(config: RunConfig, batch: int, steps: int, length: int = TEXT_LENGTH) -> dict[str, float]:
    """{"pairs_per_second", "tflops"} of whole steps in this process; without the second for towers whose operations
    are not counted (`tera_operations`)."""
    length = min(length, config.model.max_length)
    with scratch_folder("steps") as folder:
        measured = TrainerSteps(config, batch, length, folder)
        try:
            seconds = sum(step["step"] for step in measured.spread(measured.take(steps)))
        finally:
            measured.close()
    rate, operations = steps * batch / seconds, tera_operations(config, measured.rig.system.views, length)
    return {"pairs_per_second": rate, **({"tflops": rate * operations} if operations else {})}

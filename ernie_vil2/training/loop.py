"""The loop: batches into steps, a line every so often, checkpoints and validations when they are due.

Weights come first: every end that leaves them good saves them, and only what is saved is measured.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..config.run import RunConfig, TrainConfig
from ..data.batches.loader import Loader
from ..data.batches.row_counts import RowCounts
from ..data.batches.views import Batch
from ..errors import DataError, UserError, cause_of
from ..stop import StopRequest
from .distributed import Ranks
from .log.run_log import RunLog, SilentLog, duration, memory
from .ranks.watch import LostRank
from .rig import Rig
from .validation import Validation


class Run(Protocol):
    """What the loop walks through: a Trainer."""

    config: RunConfig
    folder: Path
    ranks: Ranks
    rig: Rig
    validation: Validation
    first: int
    stopped: bool

    def evaluate(self, step: int, log: RunLog | SilentLog, stop: StopRequest) -> None:
        """Measure the weights that were saved."""

    def save(self, step: int, log: RunLog | SilentLog, passing: bool = False, prune: bool = True) -> Path:
        """Save, and return the path of the checkpoint."""


@dataclass
class StepTimer:
    """What steps cost since the last line, and how long the rest will take; pauses for checkpoints do not count."""

    steps: int
    """of the whole run"""
    first: int
    """steps that were done before"""
    batch_size: int
    began: float = field(default_factory=lambda: time.perf_counter())
    since: int = 0
    reading: float = 0.0

    def __post_init__(self) -> None:
        self.clock = self.began

    def read(self, seconds: float) -> None:
        """Note that the run waited this long for a batch."""
        self.reading += seconds

    def step(self) -> None:
        """Note that a step was taken."""
        self.since += 1

    def restart(self) -> None:
        """The first step begins now."""
        self.began = self.clock = time.perf_counter()

    def line(self, done: int) -> dict[str, float | str]:
        """reader_cost and batch_cost in seconds a step, ips in pairs a second, eta; starts the next line."""
        now = time.perf_counter()
        cost = (now - self.clock) / self.since
        values = {
            "reader_cost": self.reading / self.since,
            "batch_cost": cost,
            "ips": self.batch_size / cost,
            "eta": duration((self.steps - done) * (now - self.began) / (done - self.first)),
        }
        self.clock, self.reading, self.since = now, 0.0, 0
        return values

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave out the time in the block."""
        began = time.perf_counter()
        yield
        self.clock += time.perf_counter() - began


class BadRows:
    """The rows that were replaced by others, each listed once in a file that all ranks and resumptions add to."""

    def __init__(self, path: Path, counts: RowCounts, ranks: Ranks) -> None:
        self.path, self.counts, self.ranks, self.unlisted = path, counts, ranks, ""

    def note(self, errors: list) -> None:
        """Add what was wrong with rows that were not met before."""
        if not errors:
            return
        try:
            with open(self.path, "a+", encoding="utf-8", errors="backslashreplace") as handle:
                handle.seek(0)
                listed = {line.rstrip("\n") for line in handle}
                handle.writelines(f"{error}\n" for error in errors if str(error) not in listed)
        except OSError as error:
            self.unlisted = f"; some could not be listed ({cause_of(error)})"

    def summary(self) -> str:
        """A sentence, or nothing when every row was good."""
        if not self.counts.bad:
            return ""
        here = " on this rank" if self.ranks.size > 1 else ""
        return f"note: {self.counts}{here}, they are listed in {self.path}{self.unlisted}"


def is_due(every: int, done: int) -> bool:
    """Whether something that happens every so many steps happens after `done` of them; 0 is never."""
    return bool(every) and done % every == 0


def evaluation_due(config: TrainConfig, done: int) -> bool:
    """Whether the weights after `done` steps are measured."""
    return done == config.steps or is_due(config.eval_every, done)


class Walk:
    """From the trainer's first step to the last, to a signal, or to a fault. `path` is the last checkpoint, if any.

    `saved` steps are on the disk, of those that the rig has taken.
    """

    def __init__(self, trainer: Run, loader: Loader, log: RunLog | SilentLog, stop: StopRequest) -> None:
        self.trainer, self.loader, self.log, self.stop = trainer, loader, log, stop
        self.rig, self.ranks, self.config = trainer.rig, trainer.ranks, trainer.config.train
        self.bad = BadRows(trainer.folder / "bad.txt", loader.counts, trainer.ranks)
        self.saved = trainer.first
        self.saving, self.agreed, self.path = False, False, None
        self.batch: Batch | None = None
        self.fault: Exception | None = None
        self.timer = StepTimer(self.config.steps, trainer.first, self.config.batch_size)
        self.clock = time.monotonic()

    @property
    def done(self) -> int:
        """Steps in the weights."""
        return self.rig.done

    def run(self) -> Path | None:
        """Walk; returns the path of the last checkpoint. A fault saves what is good, and is raised."""
        try:
            self.steps()
        except Exception as error:
            if self.good(error):
                self.rescue(error)
            raise
        finally:
            if note := self.bad.summary():
                self.log.say(note)
        return self.path

    def steps(self) -> None:
        """Every step, then what is due after it."""
        with self.rig.averaged(), self.rig.precision():
            self.trainer.validation.start(self.log, self.stop)
        self.timer.restart()
        self.rig.model.train()
        self.batches = iter(self.loader)
        self.heed(*self.ranks.any(*self.fetch()))
        while self.done < self.config.steps and not self.trainer.stopped:
            self.step()

    def fetch(self) -> tuple[bool, bool, bool]:
        """Get the next batch; whether this rank has none, was asked to stop, and should save.

        It is called while the device computes a step, and the answers of all ranks come with the figures of that step.
        """
        waiting, errors = time.perf_counter(), []
        self.batch = None
        try:
            if not self.stop.asked:
                self.batch, errors = next(self.batches)
        except Exception as error:  # the other ranks must hear of it, whatever it is
            self.fault = error
        if self.loader.note:
            self.log.say(f"note: {self.loader.note}")
            self.loader.note = ""
        self.bad.note(errors)
        self.timer.read(time.perf_counter() - waiting)
        return self.fault is not None, self.batch is None, self.overdue()

    def heed(self, faulty: bool, stopped: bool, overdue: bool) -> None:
        """Act on what any rank answered, once the step is done."""
        self.agreed = faulty
        if faulty:
            raise self.fault or DataError("another rank cannot go on; log/workerlog.* of that rank says why")
        stopped = stopped or (self.ranks.size == 1 and self.stop.asked)  # others would not know of it yet
        if stopped:
            self.trainer.stopped = True
        if stopped or overdue:
            self.save(passing=not stopped)

    def overdue(self) -> bool:
        """Whether rank 0, whose clock counts for all, saw train.save_minutes pass since the last save."""
        minutes = self.config.save_minutes
        return self.ranks.main and bool(minutes) and time.monotonic() - self.clock >= 60 * minutes

    def step(self) -> None:
        """One step, its line, what is due after it, and what the ranks answered meanwhile."""
        number, last = self.done, self.done + 1 == self.config.steps
        show = last or is_due(self.config.log_every, number + 1)
        values = self.rig.step(self.batch, number, show, tuple if last else self.fetch)
        self.timer.step()
        self.log.advance()
        if show:
            values = {**values, **self.timer.line(self.done), **memory()}
            self.log.step(self.done, values, self.rig.parts, self.rig.similarities)
        measured = evaluation_due(self.config, self.done)
        if measured or is_due(self.config.save_every, self.done):
            self.save()
        if measured:
            with self.timer.paused():
                self.trainer.evaluate(self.done, self.log, self.stop)
            self.clock = time.monotonic()
        if not last:
            self.heed(*self.rig.flags)

    def save(self, passing: bool = False, prune: bool = True) -> None:
        """Save the weights, if they are not on the disk already."""
        if self.done == self.saved:
            self.clock = time.monotonic()
            return
        with self.timer.paused():
            self.saving = True
            self.path = self.trainer.save(self.done, self.log, passing, prune)
            self.saving, self.saved, self.clock = False, self.done, time.monotonic()

    def good(self, error: Exception) -> bool:
        """Whether the weights are those after `done` steps, and all ranks are here to save them."""
        together = self.ranks.size == 1 or self.agreed or isinstance(error, UserError)
        together = together and not isinstance(error, LostRank)
        idle = not self.saving and not self.rig.updating and not self.stop.at_once
        return self.done > self.saved and together and idle

    def rescue(self, error: Exception) -> None:
        """Save on the way out, and keep the checkpoints before: who knows how long ago it began to go wrong."""
        try:
            self.save(prune=False)
        except Exception as unsaved:
            self.log.say(f"note: the weights after step {self.done} are not saved: {cause_of(unsaved)}")
        else:
            self.log.say(
                f"note: the weights after step {self.done} are saved, --resume auto goes on there: {self.path}"
            )

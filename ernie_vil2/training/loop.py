"""The loop: batches into steps, a line every so often, validations and checkpoints when they are due."""

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ..config.run import RunConfig, TrainConfig
from ..data.batches.loader import Loader
from ..data.batches.row_counts import RowCounts
from ..stop import StopRequest
from .distributed import Ranks
from .log.run_log import RunLog, SilentLog, duration, memory
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

    def evaluate(self, step: int, log: RunLog | SilentLog) -> Path:
        """Validate, save, and return the path of the checkpoint."""

    def save(self, step: int, log: RunLog | SilentLog) -> Path:
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
        """Note that the step waited this long for its batch."""
        self.reading += seconds
        self.since += 1

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

    def pause(self, seconds: float) -> None:
        """Leave a time out."""
        self.clock += seconds


class BadRows:
    """The rows that were replaced by others, each listed once in a file that all ranks and resumptions add to."""

    def __init__(self, path: Path, counts: RowCounts, ranks: Ranks) -> None:
        self.path, self.counts, self.ranks = path, counts, ranks

    def note(self, errors: list) -> None:
        """Add what was wrong with rows that were not met before."""
        if not errors:
            return
        with open(self.path, "a+", encoding="utf-8", errors="backslashreplace") as handle:
            handle.seek(0)
            listed = {line.rstrip("\n") for line in handle}
            handle.writelines(f"{error}\n" for error in errors if str(error) not in listed)

    def summary(self) -> str:
        """A sentence, or nothing when every row was good."""
        if not self.counts.bad:
            return ""
        here = " on this rank" if self.ranks.size > 1 else ""
        return f"note: {self.counts}{here}, they are listed in {self.path}"


def is_due(every: int, done: int) -> bool:
    """Whether something that happens every so many steps happens after `done` of them; 0 is never."""
    return bool(every) and done % every == 0


def train(trainer: Run, loader: Loader, log: RunLog | SilentLog, stop: StopRequest) -> Path | None:
    """Walk from the trainer's first step to the last, or to a signal; returns the path of the last checkpoint."""
    bad = BadRows(trainer.folder / "bad.txt", loader.counts, trainer.ranks)
    try:
        return walk(trainer, loader, log, stop, bad)
    finally:
        if note := bad.summary():
            log.say(note)


def walk(trainer: Run, loader: Loader, log: RunLog | SilentLog, stop: StopRequest, bad: BadRows) -> Path | None:
    """Every step, then what is due after it."""
    rig, config, path = trainer.rig, trainer.config.train, None
    with rig.precision():
        trainer.validation.start(log)
    timer = StepTimer(config.steps, trainer.first, config.batch_size)
    rig.model.train()
    batches = iter(loader)
    for step in range(trainer.first, config.steps):
        waiting = time.perf_counter()
        batch, errors = next(batches)
        if step == trainer.first and loader.note:
            log.say(f"note: {loader.note}")
        trainer.ranks.meet()
        timer.read(time.perf_counter() - waiting)
        bad.note(errors)
        done = step + 1
        show = is_due(config.log_every, done) or done == config.steps
        values = rig.step(batch, step, show, stop)
        log.advance()
        if show:
            log.step(done, {**values, **timer.line(done), **memory()}, rig.parts, rig.similarities)
        paused = time.perf_counter()
        path = after_step(trainer, config, done, log) or path
        timer.pause(time.perf_counter() - paused)
        if rig.stopped:
            break
    return path


def after_step(trainer: Run, config: TrainConfig, done: int, log: RunLog | SilentLog) -> Path | None:
    """Validate or save where that is due; a run that was asked to stop saves and no more, but at its last step."""
    last, stopped = done == config.steps, trainer.rig.stopped
    if last or (is_due(config.eval_every, done) and not stopped):
        return trainer.evaluate(done, log)
    if stopped or is_due(config.eval_every, done) or is_due(config.save_every, done):
        return trainer.save(done, log)
    return None

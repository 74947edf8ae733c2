"""Where the time of a step goes, by the parts of a rig that are called from outside: no clock is in the rig itself."""

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ...training.rig import Rig

REST = "rest"
FIGURES, LOG = "figures for the log", "log"
"""Parts of the steps that a run shows"""


def part_calls(rig: "Rig") -> list[tuple[str, Any, str]]:
    """(part, owner, attribute) of what a step of the rig calls; an attribute that there is not has no part."""
    from ...training import rig as rig_module

    return [
        ("gradients", type(rig.gradient_step), "__call__"),
        ("flat gradients", rig.gradients, "collect"),
        ("flat gradients", rig.gradients, "clear"),
        ("sum over ranks", rig.sync, "reduce"),
        ("sum over ranks", rig.sync, "publish"),
        ("norm and read", rig_module, "read_figures"),
        ("clip", rig.gradients, "scale"),
        ("AdamW", rig.optimizer, "step"),
        ("EMA", rig.ema, "update"),
        (FIGURES, rig, "_shown"),
        (FIGURES, rig.updates, "before"),
        (FIGURES, rig.updates, "after"),
    ]


class StepClock:
    """{part: seconds} of one step after another; what a part calls that is a part too counts there alone.

    Seconds are those of the clock `now`, by default processor time of this process: other work on the machine and
    waiting for other ranks are not in it. `elapsed` are seconds by the clock on the wall.
    """

    def __init__(self, now: Callable[[], float] | None = None) -> None:
        self.now = now or time.process_time
        self.steps: list[dict[str, float]] = []
        self.elapsed: list[float] = []
        self._running: dict[str, float] = {}
        self._within = [0.0]

    def timed(self, part: str, call: Callable) -> Callable:
        """The call, whose time goes to the part."""

        def run(*args, **options):
            began = self.now()
            self._within.append(0.0)
            try:
                return call(*args, **options)
            finally:
                whole = self.now() - began
                self._running[part] = self._running.get(part, 0.0) + whole - self._within.pop()
                self._within[-1] += whole

        return run

    def step(self, call: Callable[[], object]) -> None:
        """Time one step."""
        self._running, self._within, began = {}, [0.0], time.perf_counter()
        self.timed(REST, call)()
        self.elapsed.append(time.perf_counter() - began)
        self.steps.append({**self._running, "step": self._within[0]})

    def medians(self) -> dict[str, float]:
        """{part: seconds} over the steps, the whole `step` among them; medians, so the parts need not add up."""
        return {part: statistics.median(step.get(part, 0.0) for step in self.steps) for part in self.steps[0]}


@contextmanager
def parts_timed(rig: "Rig", clock: StepClock, *others: tuple[str, Any, str]) -> Iterator[None]:
    """Inside the block the calls of the rig's parts are timed, and others that `part_calls` might give; after it the
    rig is as it was."""
    kept = []
    try:
        for part, owner, name in (*part_calls(rig), *others):
            if hasattr(owner, name):
                call, own = getattr(owner, name), vars(owner).get(name)
                kept.append((owner, name, own))
                setattr(owner, name, clock.timed(part, call))
        yield
    finally:
        for owner, name, own in reversed(kept):
            if own is None:
                delattr(owner, name)
            else:
                setattr(owner, name, own)

"""The processes of all sides, which take turns: each is asked for the same thing, one after the other."""

from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import UserError, cause_of
from ..turns import peak
from ..turns.process import Process
from ..turns.torch_python import torch_settings
from . import project, quantisation, release, torch_side
from .measurements import Comparison
from .sides import DYNAMIC, RELEASE, Side
from .work import Work

MODULES = {"release": release, "project": project, "torch": torch_side}
"""{what a side is served by: the module whose START its process runs}"""


class Turns:
    """The sides that run, of a comparison whose figures they fill in.

    folder: of the work and of what is written; torch: the Python of torch's sides; stack: ends the processes; note: is
    told what was done.
    """

    def __init__(
        self,
        found: Comparison,
        work: Work,
        folder: Path,
        torch: Path,
        stack: ExitStack,
        note: Callable[[str], object],
    ):
        self.found, self.work, self.folder, self.torch, self.stack = found, work, folder, torch, stack
        self.note = note
        self.running: dict[str, Process] = {}
        self.meter: Process | None = None

    def start(self, side: Side) -> None:
        """Start the process of a side and wait until it is ready."""
        self.note(f"{side.name}: starting")
        job = {**self.work.to_dict(), "engine": side.engine, "precision": side.precision, "share": share(side.name)}
        code, settings = MODULES[side.serves].START, {}
        if side.serves == "release":
            settings = {"variables": release.VARIABLES}
        try:
            if side.serves == "torch":
                settings = torch_settings(self.torch, self.folder)
            if side.precision == "int8":
                quantise(job)
            process = self.stack.enter_context(closing(Process(side.name, code, job, **settings)))
        except (UserError, OSError) as error:
            self.exclude(side.name, cause_of(error))
        else:
            self.running[side.name] = process
            self.found.sides[side.name].how = process.told

    def exclude(self, name: str, reason: str) -> None:
        """Note why a side has no figures; UserError where it is the one that all are compared with."""
        if name == DYNAMIC:
            raise UserError(f"dynamic mode, which all sides are compared with, cannot run: {reason}")
        self.running.pop(name, None)
        measured = self.found.sides[name]
        measured.refused = reason
        measured.seconds, measured.queries = {}, {}

    def answers(self, request: Callable[[str], Mapping[str, Any]]) -> Iterable[tuple[str, Any]]:
        """(side, its answer) of every side in turn; one that stops is excluded."""
        for name, process in list(self.running.items()):
            try:
                yield name, process.ask(request(name))
            except UserError as error:
                self.exclude(name, cause_of(error))

    def encode(self, kind: str) -> None:
        """Have every side encode the items of a kind into its file."""
        every = len(self.work.items(kind))
        count = {name: max(1, every // share(name)) for name in self.running}
        asked = self.answers(lambda name: {"kind": kind, "count": count[name], "to": str(self.output(name, kind))})
        for name, seconds in asked:
            self.found.sides[name].seconds.setdefault(kind, []).append(seconds / count[name])
            self.note(f"{name}: {count[name] / seconds:.2f} {kind} a second")

    def query(self, kind: str, count: int) -> None:
        """Have every side encode so many items of a kind, one at a time."""
        for name, seconds in self.answers(lambda name: {"kind": kind, "queries": count}):
            self.found.sides[name].queries.setdefault(kind, []).extend(seconds)

    def compare_outputs(self, kinds: Iterable[str]) -> None:
        """Compare what every side wrote last with what dynamic mode did, where a side has fewer rows with the first."""
        for name in self.running:
            pairs = [[np.load(self.output(one, kind)) for one in (name, DYNAMIC)] for kind in kinds]
            pairs = [(mine, theirs[: len(mine)]) for mine, theirs in pairs]
            measured = self.found.sides[name]
            measured.largest = float(max(np.abs(mine - theirs).max() for mine, theirs in pairs))
            measured.cosine = float(min((mine * theirs).sum(axis=1).min() for mine, theirs in pairs))

    def measure_peaks(self) -> None:
        """Have the matrix peak measured at every precision of a side, in a process of its own."""
        for precision in dict.fromkeys(self.found.sides[name].side.precision for name in self.running):
            if precision in self.found.without_peak:
                continue
            try:
                self.found.peaks.setdefault(precision, []).append(self.peak_meter().ask(precision))
            except UserError as error:
                self.found.peaks.pop(precision)
                self.found.without_peak[precision] = cause_of(error)

    def peak_meter(self) -> Process:
        """The process that measures the peak, started when it is first asked for."""
        if self.meter is None:
            self.meter = self.stack.enter_context(closing(Process("matrix peak", peak.START, {})))
        return self.meter

    def output(self, name: str, kind: str) -> Path:
        """The file of a side's embeddings."""
        return self.folder / f"{name}-{kind}.npy"


def quantise(job: Mapping[str, Any]) -> None:
    """Have the int8 engine of the work's model made, in a process of its own; UserError where it cannot be."""
    try:
        Process("quantisation", quantisation.START, job).close()
    except UserError as error:
        raise UserError(f"not quantised: {cause_of(error)}") from None


def share(name: str) -> int:
    """A side encodes one of so many items."""
    return release.SHARE if name == RELEASE else 1

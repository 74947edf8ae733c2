"""Kernels of Paddle, of this project and of torch, in processes that take turns, kernel by kernel."""

import os
import statistics
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import asdict, dataclass, field

from ....config.run import RunConfig
from ....errors import UserError, cause_of
from ....files.leftovers import scratch_folder
from ....inference.engines.processor import this_processor
from ..turns.process import Process
from ..turns.tables import aligned, figure
from ..turns.torch_python import torch_python, torch_settings
from . import project, torch_side
from .work import Kernel, kernels

PADDLE, PROJECT, TORCH = "paddle", "project", "torch"
MILLI = 1e3


@dataclass
class Comparison:
    """took: {side: {kernel's name: [[seconds of a forward pass, of a backward pass] of each turn]}}; refused: {side:
    why it took no part}."""

    kernels: list[Kernel]
    took: dict[str, dict[str, list[list[float]]]] = field(default_factory=dict)
    refused: dict[str, str] = field(default_factory=dict)

    def passes(self, side: str, kernel: Kernel) -> list[float] | None:
        """[seconds of a forward pass, of a backward pass], medians of the turns; None for a side that took no part."""
        turns = self.took.get(side, {}).get(kernel.name)
        return [statistics.median(times) for times in zip(*turns, strict=True)] if turns else None

    def step(self, side: str) -> float | None:
        """Seconds of all calls in a step."""
        found = [(kernel.count, self.passes(side, kernel)) for kernel in self.kernels]
        return sum(count * sum(passes) for count, passes in found) if all(passes for _, passes in found) else None

    def ratio(self, side: str, kernel: Kernel) -> float | None:
        """How many times as fast as a side this project is; the median of the turns."""
        mine, theirs = (self.took.get(name, {}).get(kernel.name, []) for name in (PROJECT, side))
        ratios = [sum(other) / sum(own) for own, other in zip(mine, theirs, strict=False)]
        return statistics.median(ratios) if ratios else None


def compare(
    config: RunConfig,
    batch: int,
    length: int,
    turns: int,
    torch: str | os.PathLike | None = None,
    note: Callable[[str], object] = lambda line: None,
) -> Comparison:
    """Time every kernel of a step of `batch` pairs, texts of `length` tokens, on one thread, in so many turns.

    torch: as for `torch_python`. ConfigError for towers whose kernels are not known.
    """
    found, python = Comparison(kernels(config, batch, length)), torch_python(torch)
    with scratch_folder("kernels") as folder, ExitStack() as stack:
        runs: dict[str, Process] = {}
        for name, code in ((PADDLE, project.START), (PROJECT, project.START), (TORCH, torch_side.START)):
            note(f"{name}: starting")
            try:
                settings = torch_settings(python, folder) if name == TORCH else {}
                runs[name] = stack.enter_context(closing(Process(name, code, {"own": name == PROJECT}, **settings)))
            except (UserError, OSError) as error:
                if name != TORCH:
                    raise
                found.refused[name] = cause_of(error)
        for turn in range(turns):
            note(f"turn {turn + 1} of {turns}")
            for kernel in found.kernels:
                for name, process in runs.items():
                    found.took.setdefault(name, {}).setdefault(kernel.name, []).append(process.ask(asdict(kernel)))
    return found


def tables(found: Comparison) -> str:
    """A row a kernel, then all of them; what could not be measured; what the columns say."""
    head = ["ms on one thread", "calls"]
    for side in (PADDLE, PROJECT, TORCH):
        head += [side, "back"]
    head += [f"x {PADDLE}", f"x {TORCH}", "of the step"]
    whole = {side: found.step(side) for side in (PADDLE, PROJECT, TORCH)}
    rows = []
    for kernel in found.kernels:
        row = [kernel.name, f"{kernel.count:g}"]
        for side in whole:
            row += [figure(value and value * MILLI) for value in found.passes(side, kernel) or (None, None)]
        share = kernel.count * sum(found.passes(PROJECT, kernel)) / whole[PROJECT]
        ratios = (found.ratio(side, kernel) for side in (PADDLE, TORCH))
        rows.append([*row, *map(figure, ratios), figure(share, "{:.1%}")])
    sums = [cell for seconds in whole.values() for cell in (figure(seconds and seconds * MILLI, "{:,.0f}"), "")]
    ratios = [figure(whole[side] and whole[side] / whole[PROJECT]) for side in (PADDLE, TORCH)]
    rows.append(["all calls of a step", "", *sums, *ratios, figure(1.0, "{:.0%}")])
    told = [f"{side}: not measured: {reason}" for side, reason in found.refused.items()]
    processor = f"Processor: {this_processor().told}."
    return "\n\n".join([aligned(head, rows), "\n".join([*told, processor])])

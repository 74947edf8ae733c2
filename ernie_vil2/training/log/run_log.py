"""What a run tells: one line a record on the terminal, JSON lines in a file, VisualDL, a progress bar."""

import json
import math
import os
import resource
import shutil
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from tqdm import tqdm

from ...device import Device, Memory, current_device, process_memory
from ...errors import UserError, cause_of
from ...files.atomic import atomic_file
from .console import Values, bar_summary, full_line, short_line, tell, writable
from .line_file import LineFile
from .visualdl import Visual

if TYPE_CHECKING:
    from ..diagnostics import Similarities

MOST_SECONDS = 2.0
"""That a record of VisualDL may take; its writer, when it cannot write, waits longer for each."""


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss."""
    seconds = int(round(seconds))
    return f"{seconds // 3600}:{seconds % 3600 // 60:02d}:{seconds % 60:02d}"


def memory() -> dict[str, float]:
    """{"memory_mb": of this process now, "memory_peak_mb": its most}, and of the tensors on a card where there is one,
    under the name of its kind: gpu_memory_mb, xpu_memory_mb, npu_memory_mb."""
    device = current_device()
    try:
        found = {"memory": process_memory()}
    except UserError:
        unit = 1 << 20 if sys.platform == "darwin" else 1 << 10
        most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit
        found = {"memory": Memory(most, most)}
    if not device.is_cpu:
        found[memory_name(device)] = device.memory()
    values = {}
    for name, value in found.items():
        values[f"{name}_mb"], values[f"{name}_peak_mb"] = round(value.now, 1), round(value.most, 1)
    return values


def memory_name(device: Device) -> str:
    """What `memory` calls the memory of a device, before _mb and _peak_mb."""
    return "memory" if device.is_cpu else f"{device.kind}_memory"


class RunLog:
    """Writes `log.jsonl` and VisualDL records into `folder` and one line per record to the terminal.

    total: steps of the run. start_step: steps done when the run goes on from a checkpoint; records of later steps,
    which are done again, are dropped, with `again` also the validation of that step. console: "short" for what a person
    looks at, "full" for all of a record. On a terminal there is a progress bar, which shows the short line of a step by
    itself. What cannot be shown or written once the log is open ends no run: it is told once, and left out.
    """

    def __init__(
        self,
        folder: str | os.PathLike,
        total: int,
        start_step: int = 0,
        console: Literal["short", "full"] = "short",
        again: bool = False,
    ) -> None:
        self.folder, self.total, self.console = Path(folder), total, console
        self.parts: Sequence[str] = ()
        self.folder.mkdir(parents=True, exist_ok=True)
        kept = kept_records(self.folder / "log.jsonl", start_step, again)
        self.file = LineFile(self.folder / "log.jsonl")
        self.bar = tqdm(
            total=total, initial=start_step, unit="step", disable=not sys.stderr.isatty(), dynamic_ncols=True
        )
        self.lost: set[str] = set()
        self.visual: Visual | None = None
        with self._shown("VisualDL"):
            self.visual = Visual(self.folder / "visualdl", start_step)
            for entry in kept:
                self.visual.scalars(entry["kind"], entry["step"], numbers(entry))
        self.started = time.time() - max((entry["time"] for entry in kept), default=0.0)

    def say(self, text: str) -> None:
        """A line for people only."""
        if self.bar.disable:
            tell(text)
        else:
            with self._shown("the progress bar"):
                self.bar.write(writable(text))

    def advance(self) -> None:
        """One more step is done."""
        with self._shown("the progress bar"):
            self.bar.update()

    @contextmanager
    def _shown(self, what: str) -> Iterator[None]:
        """What fails in the block, in whatever way, is told the first time."""
        began = time.monotonic()
        try:
            yield
        except Exception as error:
            self._lose(what, cause_of(error))
        if what == "VisualDL" and time.monotonic() - began > MOST_SECONDS:
            self._lose(what, "it takes too long")

    def _lose(self, what: str, why: str) -> None:
        if what == "VisualDL":
            self.visual = None
        if what not in self.lost:
            self.lost.add(what)
            tell(f"note: {what} cannot be written ({why}); the run goes on without it")

    def step(
        self, done: int, values: Values, parts: Sequence[str] = (), similarities: "Similarities | None" = None
    ) -> None:
        """The record of a training step, of which `parts` names the parts of the loss, with histograms."""
        self.parts = parts
        self.record("train", done, values)
        if similarities is not None:
            self.histogram("train/similarity/positive", done, similarities.positive)
            self.histogram("train/similarity/negative", done, similarities.negative)

    def record(self, kind: str, step: int, values: Values) -> None:
        """One record, kind train or valid: a line, a JSON line and a scalar for every number in `values`."""
        entry = {"kind": kind, "step": step, "time": round(time.time() - self.started, 3)}
        for key, value in values.items():
            entry[key] = None if isinstance(value, float) and not math.isfinite(value) else value
        with self._shown(str(self.file.path)):
            self.file.write(json.dumps(entry))
        self._draw("scalars", kind, step, values)
        if self.console == "full":
            self.say(full_line(kind, step, values))
            return
        if kind == "train" and not self.bar.disable:
            with self._shown("the progress bar"):
                self.bar.set_postfix_str(bar_summary(values, self.parts, shutil.get_terminal_size().columns))
        if kind != "train" or self.bar.disable or not sys.stdout.isatty():  # a file or a pipe has no bar
            self.say(short_line(kind, step, self.total, values, self.parts))

    def histogram(self, tag: str, step: int, values: np.ndarray) -> None:
        """A histogram of an array in VisualDL."""
        self._draw("histogram", tag, step, values)

    def images(self, tag: str, step: int, image: np.ndarray) -> None:
        """An image in VisualDL, uint8 RGB [H, W, 3]."""
        self._draw("images", tag, step, image)

    def text(self, tag: str, step: int, text: str) -> None:
        """A text in VisualDL."""
        self._draw("text", tag, step, text)

    def projector(self, tag: str, step: int, embeds: np.ndarray, labels: Mapping[str, Sequence[str]]) -> None:
        """Embeddings [N, D] in VisualDL's projector, with labels {column: [N texts]}."""
        self._draw("projector", tag, step, embeds, labels)

    def close(self) -> None:
        """Flush and close everything."""
        with self._shown("the progress bar"):
            self.bar.close()
        self._draw("close")
        with self._shown(str(self.file.path)):
            self.file.close()

    def _draw(self, method: str, *values: Any) -> None:
        if self.visual is not None:
            with self._shown("VisualDL"):
                getattr(self.visual, method)(*values)


class SilentLog:
    """The log of a rank other than 0: it has the methods of RunLog and writes nothing; `say` prints under the rank."""

    def __init__(self, rank: int = 1) -> None:
        self.rank = rank

    def say(self, text: str) -> None:
        """A line for people, in the output of this rank."""
        tell(f"[rank {self.rank}] {text}")

    def nothing(self, *values: object, **named: object) -> None:
        """What rank 0 alone does."""

    advance = step = record = histogram = images = text = projector = nothing

    def close(self) -> None:
        """There is nothing to flush."""


def kept_records(path: Path, start_step: int, again: bool = False) -> list[dict[str, Any]]:
    """The records of a log up to `start_step`, with `again` without the validation of that step; a file that holds
    others or a torn line is replaced, as a whole."""
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return []
    found = [entry for entry in map(parsed, lines) if entry is not None and entry["step"] <= start_step]
    found = found if start_step else []
    kept = [entry for entry in found if not (again and entry["step"] == start_step and entry["kind"] != "train")]
    if len(kept) < len(lines):
        with atomic_file(path) as handle:
            handle.write("".join(json.dumps(entry) + "\n" for entry in kept).encode("utf-8"))
    return kept


def parsed(line: str) -> dict[str, Any] | None:
    """A record, or None for a line that was cut when the run was killed, or is none of a log."""
    try:
        entry = json.loads(line)
        step, seconds = entry["step"], entry["time"]
        sound = type(step) is int and type(seconds) in (int, float) and abs(seconds) < 1e12
        return entry if sound and isinstance(entry["kind"], str) else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def numbers(entry: dict[str, Any]) -> dict[str, Any]:
    """The values of a record without what tells its place."""
    return {key: value for key, value in entry.items() if key not in ("kind", "step", "time")}

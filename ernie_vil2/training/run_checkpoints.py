"""Checkpoints: directories that hold all that a run needs to go on, and the pointer to the latest and the best.

`checkpoints/step-0000400/` is a model directory (config.json, model.safetensors, vocab.txt) with, beside it, named
groups of arrays and `state.json`: step, place in the data, schedule, loss scale, configuration, versions, and bytes and
SHA-256 of every other file, and a SHA-256 of itself. A group that every rank has alike is one file,
`GROUP.safetensors`: `parameters` where the model to use is not the one that is trained (LoRA, averaged weights),
`average`, `system`. A group of which every rank has a part is one file a rank, `GROUP-0000-of-0002.safetensors`:
`optimizer`, by parameter name. All ranks write into `step-0000400.tmp`, which is renamed when state.json is in it: a
killed save leaves only that, and the next one removes it. What validation finds is written afterwards, into
`score.json` (`checkpoint_scores.py`).
"""

import json
import os
import re
import shutil
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.formats.safetensors_file import open_safetensors, write_safetensors
from ..checkpoints.model_directory import write_directory
from ..config.model import ModelConfig
from ..errors import CheckpointError, cause_of
from ..files.atomic import atomic_file, replace_directory, reported, sync_directory, synced_file
from ..files.digests import sha256_of
from ..files.json_files import with_checksum
from ..files.run_folder import STATE, read_state, step_name, whole_steps
from ..versions import versions
from .checkpoint_scores import SCORE, Score, best_step, scores, write_score
from .distributed import Ranks
from .retention import TEMPORARY, clear_unfinished, prune_folder

POINTER = "checkpoints.json"
SUFFIX = ".safetensors"
PART = re.compile(r"(?P<group>\w+)-\d{4}-of-\d{4}")
ABANDONED = ".abandoned"
PATIENCE = 60.0
"""Seconds in which a shared file system must show what another machine has written."""
VERSION = 1
Arrays = Mapping[str, np.ndarray]


def part_file(group: str, rank: int, size: int) -> str:
    """Name of the part of a group that a rank writes."""
    return f"{group}-{rank:04d}-of-{size:04d}{SUFFIX}"


@dataclass
class Saved:
    """A checkpoint as it was read: state.json, and {group: {name: array}}, read when an array is asked for."""

    state: dict[str, Any]
    groups: dict[str, Arrays]


class Checkpoints:
    """The checkpoints of a run in `folder`. The last `keep` and the best one are kept.

    vocab: bytes of the vocabulary, held here so that a save needs nothing of the folder. Every method but `score` is
    called by all ranks; rank 0 writes what is written once. `notes` tell what went wrong beside the weights.
    """

    def __init__(self, folder: str | os.PathLike, ranks: Ranks, keep: int = 2, vocab: bytes = b"") -> None:
        self.folder, self.ranks, self.keep, self.vocab = Path(folder), ranks, keep, vocab
        self.notes: list[str] = []

    def path(self, step: int) -> Path:
        """The directory of a step."""
        return self.folder / step_name(step)

    def steps(self) -> list[int]:
        """Steps of the whole checkpoints there are, rising."""
        return whole_steps(self.folder)

    def save(
        self,
        state: dict[str, Any],
        model: Arrays,
        config: ModelConfig,
        groups: Mapping[str, Arrays],
        parts: Mapping[str, Arrays],
        passing: bool = False,
        prune: bool = True,
    ) -> Path:
        """Write the checkpoint of state["step"]; returns its path.

        state: what state.json keeps; model: {key: array} in the release's layout; groups: {group: {name: array}} of
        rank 0, `parts` of this rank. passing: it does not count among the kept ones and goes when a later one comes.
        prune: remove older ones. Raises CheckpointError when the disk refuses; the older checkpoints are then as they
        were, and the latest is named.
        """
        path = self.path(state["step"])
        temporary = path.with_name(path.name + TEMPORARY)
        try:
            with reported(path):
                if self.ranks.main:
                    self._begin()
                    write_directory(temporary, model, config, self.vocab, {"step": state["step"]})
                    for name, arrays in groups.items():
                        write_arrays(temporary / f"{name}{SUFFIX}", arrays)
                self.ranks.wait()
                for name, arrays in parts.items():
                    write_arrays(temporary / part_file(name, self.ranks.rank, self.ranks.size), arrays)
                self.ranks.wait()
                written = int(self.ranks.sum([len(parts)])[0])
                if self.ranks.main:
                    self._expect(temporary, written)
                    self._finish(temporary, path, {**state, "passing": passing}, prune)
        except BaseException as error:
            shutil.rmtree(temporary, ignore_errors=True)
            if isinstance(error, CheckpointError) and (latest := self.latest()):
                told = f"{error}; {latest} is whole and as it was, go on from it with --resume auto"
                raise CheckpointError(told) from error
            raise
        self.ranks.wait()
        return path

    def score(self, step: int, score: float, metrics: Mapping[str, float]) -> None:
        """Write what validation found of a step, and let the best one follow from it. For rank 0."""
        with reported(self.path(step) / SCORE):
            write_score(self.path(step), Score(step, score, dict(metrics)))
        self._follow(step, prune=True)

    def _begin(self):
        self.folder.mkdir(parents=True, exist_ok=True)
        clear_unfinished(self.folder)

    def _expect(self, temporary: Path, parts: int) -> None:
        """Wait until the parts that other machines wrote are seen here."""
        last = time.monotonic() + PATIENCE
        while (seen := sum(bool(PART.fullmatch(file.stem)) for file in temporary.glob(f"*{SUFFIX}"))) < parts:
            if time.monotonic() > last:
                raise CheckpointError(
                    f"{temporary} shows {seen} of {parts} parts of what the ranks hold; all machines must write to "
                    "one file system, check that output is on it"
                )
            time.sleep(0.1)

    def _finish(self, temporary, path, state, prune):
        files = sorted(file for file in temporary.rglob("*") if file.is_file())
        listed = {
            file.relative_to(temporary).as_posix(): {"bytes": file.stat().st_size, "sha256": sha256_of(file)}
            for file in files
        }
        best = best_step(self.folder)
        best = {"step": best, "score": scores(self.folder)[best] if best is not None else None}
        content = {"version": VERSION, **state, "best": best, "versions": versions(), "files": listed}
        with synced_file(temporary / STATE) as handle:
            written = json.dumps(with_checksum(content), indent=1, ensure_ascii=False)
            handle.write((written + "\n").encode("utf-8", "backslashreplace"))
        sync_directory(temporary)
        replace_directory(temporary, path)
        self._follow(state["step"], prune)

    def _follow(self, step: int, prune: bool) -> None:
        """Older checkpoints and the pointer follow a whole one, which no fault of theirs may undo."""
        try:
            if prune:
                prune_folder(self.folder, self.keep, step)
            self._point()
        except OSError as error:
            self.notes.append(f"{self.path(step)} is whole, but what is older could not follow: {cause_of(error)}")

    def _point(self):
        best = best_step(self.folder)
        content = {"latest": self.latest().name, "best": self.path(best).name if best is not None else None}
        with atomic_file(self.folder / POINTER) as handle:
            handle.write(json.dumps(content, indent=1).encode("utf-8"))

    def latest(self) -> Path | None:
        """Path of the newest whole checkpoint, or None; the pointer is a courtesy to readers, the directories count."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def load(self, path: str | os.PathLike) -> Saved:
        """What a checkpoint holds; the exported model is its group "model".

        Every file is compared with its checksum first. Raises CheckpointError that names a missing or damaged file
        and offers the checkpoint before this one.
        """
        path = Path(path)
        state = self._read_state(path)
        for name, wanted in state["files"].items():
            file = path / name
            if not file.is_file():
                raise CheckpointError(f"{file} is missing; {self._offer(path)}")
            if file.stat().st_size != wanted["bytes"] or sha256_of(file) != wanted["sha256"]:
                raise CheckpointError(f"{file} is damaged: it is not the file that {STATE} lists; {self._offer(path)}")
        groups = {}
        for name in sorted(name for name in state["files"] if name.endswith(SUFFIX)):
            stem = name.removesuffix(SUFFIX)
            part = PART.fullmatch(stem)
            if part:
                groups.setdefault(part["group"], {}).update(open_safetensors(path / name).items())
            else:
                groups[stem] = open_safetensors(path / name)
        return Saved(state, groups)

    def abandon_after(self, step: int) -> str | None:
        """Set aside whole checkpoints of later steps: the run goes on from `step`, so they are another branch.

        Returns a sentence about them, or None. For rank 0.
        """
        later = [self.path(other) for other in self.steps() if other > step]
        for path in later:
            aside = path.with_name(path.name + ABANDONED)
            shutil.rmtree(aside, ignore_errors=True)
            path.rename(aside)
        if not later:
            return None
        if self.steps():
            with reported(self.folder / POINTER):
                self._point()
        names = ", ".join(path.name + ABANDONED for path in later)
        return f"later checkpoints are set aside as {names}; remove them when you do not want them"

    def _read_state(self, path):
        if not path.is_dir():
            raise CheckpointError(f"there is no checkpoint {path}; correct the path, or give --resume auto")
        try:
            state = read_state(path)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
            raise CheckpointError(f"{path / STATE} is missing or damaged ({reason}); {self._offer(path)}") from None
        if state["version"] != VERSION:
            raise CheckpointError(
                f"{path} is of version {state['version']}, this release reads {VERSION}; go on with the release "
                "that wrote it"
            )
        return state

    def _offer(self, path):
        others = [step for step in self.steps() if self.path(step).name != path.name]
        before = [step for step in others if self.path(step).name < path.name] or others
        if not before:
            return "there is no other checkpoint; start anew with another output folder"
        return f"go on from the one before with --resume {self.path(before[-1])}"


def write_arrays(path: Path, arrays: Arrays) -> None:
    """A safetensors file that is on the disk when this returns."""
    with synced_file(path) as handle:
        write_safetensors(handle, arrays)

"""One training of a study: what it is made of, what it leaves in its folder, and whether that is finished.

A finished run leaves `result.json` in its folder and is kept; one that was interrupted starts again.
A training that the guard ended is finished too where the study can tell of it: its result says so, and has no metrics.
"""

import json
import shutil
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...config.load import completed, load_run
from ...errors import ConfigError
from ...files.digests import sha256_of_code
from ...files.json_files import write_json
from ...files.leftovers import clear_leftovers, clear_leftovers_in
from ...files.marks import written_by
from ...files.run_folder import CHECKPOINTS, RUN_FILES, latest_model
from ...schema import as_dict

RESULT = "result.json"
EVALUATION = "evaluation.json"
OUTPUT = "output.txt"
TEST_IMAGES = 1000
STOPPED = "stopped-step-*.json"
"""What the guard of a training writes when it ends it"""
PACKAGE = Path(__file__).parents[2]


@dataclass(frozen=True)
class Study:
    """command: what marks the files of the study as its own; title: its name in a sentence; own: the file that tells
    its runs from those of somebody else, there before anything else; tells_divergence: whether a training that the
    guard ended is a result of the study, not a failure."""

    command: str
    title: str
    own: str
    tells_divergence: bool = False


@dataclass
class Run(ABC):
    """A configuration with a seed; `overrides` are those of its command, `images` the unseen scenes it faces."""

    name: str
    seed: int
    path: Path
    folder: Path
    overrides: list[str]
    images: int = TEST_IMAGES

    study: ClassVar[Study]

    @property
    def label(self) -> str:
        """The run for a reader."""
        return f"{self.name} with seed {self.seed}"

    def identity(self) -> dict[str, Any]:
        """What tells it from the other runs of its study."""
        return {"name": self.name, "seed": self.seed}

    def config(self) -> dict[str, Any]:
        """The run's configuration as plain data, without the name of its folder."""
        return placeless(as_dict(load_run(self.path, self.overrides)))

    def finished(self, replace: bool = False) -> bool:
        """Whether its result is there; ConfigError when that is of another configuration, unless it may be replaced."""
        result = self.folder / RESULT
        if not result.exists():
            return False
        held = json.loads(result.read_text(encoding="utf-8"))
        images = self.images if held.get("diverged") else held["metrics"]["num_images"]
        if (placeless(completed(held["config"])), images) != (self.config(), self.images):
            if replace:
                return False
            raise ConfigError(
                f"{self.folder} holds a run of another configuration than {self.path} or --images says now; "
                "remove that folder, or choose another --output, or give --replace"
            )
        return True

    def clear(self) -> None:
        """Remove what an interrupted run left; ConfigError when the folder is something else."""
        if not self.folder.exists():
            return
        own = self.folder / self.study.own
        clear_leftovers(own)
        if self.folder.is_dir() and any(self.folder.iterdir()):
            ours = written_by(own, self.study.command)
            if ours:
                clear_leftovers_in(self.folder)
            names = {entry.name for entry in self.folder.iterdir() if not entry.match(STOPPED)}
            if not ours or names - {*RUN_FILES, RESULT, EVALUATION, OUTPUT, self.study.own}:
                raise self._foreign()
        elif not self.folder.is_dir():
            raise self._foreign()
        shutil.rmtree(self.folder)

    def _foreign(self) -> ConfigError:
        return ConfigError(f"{self.folder} is there, but no run of {self.study.title}; choose another --output")

    def begin(self) -> None:
        """Make its folder anew, and mark it, with the state of the code that it begins with."""
        self.clear()
        self.folder.mkdir(parents=True)
        mark = {**self.identity(), "code": sha256_of_code(PACKAGE)}
        write_json(self.folder / self.study.own, mark, self.study.command)

    def training(self) -> list[str]:
        """Arguments of the command that trains."""
        return ["train", "-c", str(self.path), *(f"-o{override}" for override in self.overrides)]

    @property
    def model(self) -> Path:
        """The last model directory that its training wrote."""
        return latest_model(self.folder / CHECKPOINTS)

    @abstractmethod
    def evaluation(self) -> list[str]:
        """Arguments of the command that measures on what was never seen, and writes EVALUATION."""

    @abstractmethod
    def metrics(self, report: dict[str, Any]) -> dict[str, Any]:
        """The figures of EVALUATION, `num_images` and `mean_recall` (percent) among them."""

    def finish(self, seconds: float) -> str:
        """Write its result, which makes it a finished one; returns a line about it."""
        metrics = self.metrics(json.loads((self.folder / EVALUATION).read_text(encoding="utf-8")))
        log = [json.loads(line) for line in (self.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
        self._write({"metrics": metrics, "log": log}, seconds)
        return (
            f"mean recall {metrics['mean_recall']:.2f} % on {self.images:,} unseen scenes, {seconds / 60:.1f} minutes"
        )

    def diverged(self) -> bool:
        """Whether the guard ended its training, and its study tells of that."""
        return self.study.tells_divergence and any(self.folder.glob(STOPPED))

    def finish_diverged(self, seconds: float) -> str:
        """Write the result of a training that the guard ended; returns a line about it."""
        self._write({"diverged": True}, seconds)
        return f"its training diverged, {self.last_line()}"

    def _write(self, found: dict[str, Any], seconds: float) -> None:
        code = json.loads((self.folder / self.study.own).read_text(encoding="utf-8"))["code"]
        held = {**self.identity(), "code": code, "config": self.config(), **found, "minutes": seconds / 60}
        write_json(self.folder / RESULT, held)

    def last_line(self) -> str:
        """The last line of what its processes said."""
        lines = (self.folder / OUTPUT).read_text(encoding="utf-8", errors="replace").strip().splitlines()
        return lines[-1] if lines else "it said nothing"


def placeless(config: dict[str, Any]) -> dict[str, Any]:
    """A run's configuration as JSON has it, without the name of its folder."""
    return {key: value for key, value in json.loads(json.dumps(config)).items() if key != "output"}


def results(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """What the finished runs wrote, in their order."""
    done = [run.folder / RESULT for run in runs if (run.folder / RESULT).exists()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in done]

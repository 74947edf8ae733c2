"""The ablation of views: the same training with other pairs of views and seeds, each run in processes of its own.

Every run has one kernel thread, so its numbers do not depend on how many run side by side. A finished run leaves
`result.json` in its folder and is kept; one that was interrupted starts again.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ...config.load import load_run
from ...errors import ConfigError
from ...files.json_files import write_json
from ...files.marks import written_by
from ...files.run_folder import RUN_FILES
from ...schema import as_dict
from .comparison import COMMAND, NAMES

RESULT = "result.json"
EVALUATION = "evaluation.json"
TEST_IMAGES = 1000
OUTPUT = "output.txt"
OWN = "ablation.json"
"""What tells a folder of the ablation from that of another run; it is there before anything else."""
FILES = RUN_FILES | {RESULT, EVALUATION, OUTPUT, OWN}
POLL = 0.2


@dataclass
class Run:
    """One configuration with one seed; `overrides` are those of its command, `images` the unseen scenes it faces."""

    name: str
    seed: int
    path: Path
    folder: Path
    overrides: list[str]
    images: int = TEST_IMAGES

    @property
    def label(self) -> str:
        """The run for a reader."""
        return f"{self.name} with seed {self.seed}"

    def config(self) -> dict[str, Any]:
        """The run's configuration as plain data, without the name of its folder."""
        config = json.loads(json.dumps(as_dict(load_run(self.path, self.overrides))))
        return {key: value for key, value in config.items() if key != "output"}

    def finished(self, replace: bool = False) -> bool:
        """Whether its result is there; ConfigError when that is of another configuration, unless it may be replaced."""
        result = self.folder / RESULT
        if not result.exists():
            return False
        held = json.loads(result.read_text(encoding="utf-8"))
        if (held["config"], held["metrics"]["num_images"]) != (self.config(), self.images):
            if replace:
                return False
            raise ConfigError(
                f"{self.folder} holds a run of another configuration than {self.path} or --images says now; "
                "remove that folder, or choose another --output, or give --replace"
            )
        return True

    def clear(self) -> None:
        """Remove what an interrupted run left; ConfigError when the folder is something else."""
        if self.folder.exists():
            own = self.folder.is_dir() and written_by(self.folder / OWN, COMMAND)
            if not own or {entry.name for entry in self.folder.iterdir()} - FILES:
                raise ConfigError(f"{self.folder} is there, but no run of the ablation; choose another --output")
            shutil.rmtree(self.folder)

    def training(self) -> list[str]:
        """Arguments of the command that trains."""
        return ["train", "-c", str(self.path), *(f"-o{override}" for override in self.overrides)]

    def evaluation(self) -> list[str]:
        """Arguments of the command that measures on clean captions of the unseen split."""
        folder = self.folder / "checkpoints"
        latest = json.loads((folder / "checkpoints.json").read_text(encoding="utf-8"))["latest"]
        source = unseen(self.config()["data"]["valid"], self.images)
        return [
            "eval",
            "--model",
            str(folder / latest),
            "--input",
            source,
            "--protocol",
            "standard",
            "--json",
            str(self.folder / EVALUATION),
        ]


def unseen(valid: object, images: int) -> str:
    """The unseen split, drawn like the validation source, as an argument; ConfigError unless that is drawn scenes."""
    if not isinstance(valid, dict) or valid.get("kind") != "scenes":
        raise ConfigError(f"data.valid is {valid!r}, but the ablation needs {{kind: scenes, ...}} and its unseen split")
    options = {key: value for key, value in valid.items() if key not in ("kind", "split", "size")}
    languages = options.pop("languages", ["zh"])
    if len(languages) > 1 and not isinstance(languages, str):
        raise ConfigError(f"data.valid: languages {languages!r}; the ablation measures one language, keep one")
    options["languages"] = languages if isinstance(languages, str) else languages[0]
    return f"scenes:split=test,size={images}," + ",".join(f"{key}={value}" for key, value in options.items())


def plan(
    folder: str | Path,
    output: str | Path,
    seeds: Iterable[int],
    only: Sequence[str] = (),
    overrides: Sequence[str] = (),
    images: int = TEST_IMAGES,
) -> list[Run]:
    """The runs, seed by seed, so that an interrupted ablation has compared all configurations on the first seeds."""
    for name in only:
        if name not in NAMES:
            raise ConfigError(f"--only {name}: the configurations are {', '.join(NAMES)}")
    runs = []
    for seed in dict.fromkeys(seeds):
        for name in only or NAMES:
            place = Path(output) / f"{name}-seed{seed}"
            fixed = [*overrides, f"seed={seed}", f"output={json.dumps(str(place))}"]
            runs.append(Run(name, seed, Path(folder) / f"{name}.yaml", place, fixed, images))
    return runs


def run_all(
    runs: Sequence[Run], jobs: int = 2, say: Callable[[str], object] = print, replace: bool = False
) -> dict[str, str]:
    """Do the runs that are not finished, `jobs` at a time; returns {label: reason} of those that failed.

    replace: runs of another configuration give way to new ones.
    """
    waiting = [run for run in runs if not run.finished(replace)]
    if len(waiting) < len(runs):
        say(f"{len(runs) - len(waiting)} of {len(runs)} runs are finished and kept")
    active, failed = [], {}
    try:
        while waiting or active:
            while waiting and len(active) < jobs:
                run = waiting.pop(0)
                run.clear()
                run.folder.mkdir(parents=True)
                write_json(run.folder / OWN, {"name": run.name, "seed": run.seed}, COMMAND)
                say(f"{run.label}: training, output in {run.folder / OUTPUT}")
                active.append((run, start(run, run.training()), "training", time.monotonic()))
            time.sleep(POLL)
            for entry in [entry for entry in active if entry[1].poll() is not None]:
                active.remove(entry)
                run, process, stage, began = entry
                if process.returncode:
                    failed[run.label] = f"{stage} ended with status {process.returncode}: {last_line(run)}"
                    say(f"{run.label}: {failed[run.label]}")
                elif stage == "training":
                    active.append((run, start(run, run.evaluation()), "evaluation", began))
                else:
                    say(f"{run.label}: {finish(run, time.monotonic() - began)}")
    finally:
        for _, process, _, _ in active:
            process.kill()
            process.wait()
    return failed


def start(run: Run, arguments: Sequence[str]) -> subprocess.Popen:
    """A process of the command line program; what it says goes to the run's OUTPUT file."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with open(run.folder / OUTPUT, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ernie_vil2.cli.main", *arguments],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def last_line(run: Run) -> str:
    """The last line of what a run said."""
    lines = (run.folder / OUTPUT).read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return lines[-1] if lines else "it said nothing"


def finish(run: Run, seconds: float) -> str:
    """Write the result of a run, which makes it a finished one; returns a line about it."""
    metrics = json.loads((run.folder / EVALUATION).read_text(encoding="utf-8"))["protocols"]["standard"]
    log = [json.loads(line) for line in (run.folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]
    write_json(
        run.folder / RESULT,
        {
            "name": run.name,
            "seed": run.seed,
            "config": run.config(),
            "metrics": metrics,
            "log": log,
            "minutes": seconds / 60,
        },
    )
    return f"mean recall {metrics['mean_recall']:.2f} % on {run.images:,} unseen scenes, {seconds / 60:.1f} minutes"


def results(runs: Iterable[Run]) -> list[dict[str, Any]]:
    """What the finished runs wrote, in their order."""
    done = [run.folder / RESULT for run in runs if (run.folder / RESULT).exists()]
    return [json.loads(path.read_text(encoding="utf-8")) for path in done]

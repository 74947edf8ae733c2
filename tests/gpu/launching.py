"""Jobs of two ranks through Paddle's launcher: on cards 0 and 1 where there are cards, else on two gloo processes."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.conftest import ROOT
from tests.gpu.cards import visible_cards
from tests.training.runs import environment


def command(folder: Path, *arguments: str | Path, processes: int = 2) -> list[str]:
    """The command line of a script with its arguments; logs of the launcher go to the folder."""
    start = [sys.executable, "-W", "ignore"]
    if processes > 1:
        devices = ["--gpus", "0,1"] if visible_cards() else ["--nproc_per_node", "2"]
        start += ["-m", "paddle.distributed.launch", *devices, "--log_dir", str(folder / "launch")]
    return [*start, *map(str, arguments)]


def launch(
    folder: Path, *arguments: str | Path, processes: int = 2, variables: Mapping[str, str] | None = None
) -> None:
    """Run it to its end; RuntimeError with the last lines of its output where that is bad."""
    done = subprocess.run(
        command(folder, *arguments, processes=processes),
        cwd=ROOT,
        env={**environment(), **(variables or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        sys.stderr.write(done.stdout[-5000:])
        lines = [line for line in done.stdout.splitlines() if "Error" in line] or done.stdout.splitlines()[-1:]
        raise RuntimeError(f"{arguments[0]} ended with status {done.returncode}: {' '.join(lines[-1:])[:200]}")

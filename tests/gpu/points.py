"""What is to be found out on a card, and how a point runs: in a process of its own, so that none ends the others."""

import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests.conftest import ROOT
from tests.gpu.records import Record
from tests.training.runs import environment, kill_ranks

EXACT = {"NVIDIA_TF32_OVERRIDE": "0", "FLAGS_cudnn_deterministic": "1", "FLAGS_embedding_deterministic": "1"}
"""fp32 is fp32, and the same operation twice has the same bits."""
BUDGET = 600
"""Seconds for all points together."""


@dataclass(frozen=True)
class Point:
    """A question to the cards.

    measure: module and function of this folder, (folder) -> Records one by one; seconds: after which it is ended;
    cards: how many it needs; variables: of its environment.
    """

    name: str
    asks: str
    measure: str
    seconds: int
    cards: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)

    def function(self) -> Callable[[Path], Iterator[Record]]:
        """The function that measures."""
        module, name = self.measure.split(".")
        return getattr(importlib.import_module(f"tests.gpu.{module}"), name)


POINTS = {
    point.name: point
    for point in (
        Point("attention", "fused attention in every precision", "attention.measure", 45, variables=EXACT),
        Point("cache", "the gradient cache with dropout", "steps.cache", 45, variables=EXACT),
        Point("step", "a step in half precision", "steps.half_precision", 50, variables=EXACT),
        Point("chunks", "64 chunks under O2", "steps.chunks", 50, variables=EXACT),
        Point("profile", "speed and idle share of a step", "step_profile.measure", 80),
        Point("gradients", "gradients of two cards", "ranks.gradients", 95, 2, EXACT),
        Point("batch-norm", "batch norm over two cards", "ranks.batch_norm", 45, 2, EXACT),
        Point("weights", "equal weights of two ranks with a card each", "ranks.weights", 45, 2),
        Point("sharding", "a resume under sharding with O2", "ranks.sharding", 85, 2, EXACT),
        Point("kill", "how a job ends after a kill -9", "kill.measure", 60, 2),
    )
}


def run(point: Point, folder: Path, cards: int) -> list[Record]:
    """All Records of a point; what breaks it, or the lack of cards, is a Record too."""
    if cards < point.cards:
        return [Record(point.name, reason=f"it needs {point.cards} cards, and {cards} can be used", lacking=True)]
    command = [sys.executable, "-W", "ignore", "-m", "tests.gpu.points", point.name, str(folder)]
    with (folder / "output.txt").open("w") as output:
        job = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment(**point.variables),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            status = job.wait(point.seconds)
            end = f"it ended with status {status}" if status else ""
        except subprocess.TimeoutExpired:
            end = f"it was not done after {point.seconds} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(job.pid, signal.SIGKILL)
            job.wait()
            for log in folder.glob("**/launch"):
                kill_ranks(log)
    found = written(folder)
    if not found or (end and all(not record.reason for record in found)):
        last = (folder / "output.txt").read_text(errors="replace").strip().splitlines()[-1:]
        found.append(Record(point.name, reason=": ".join([end or "it said nothing", *last])))
    return found


def written(folder: Path) -> list[Record]:
    """The Records that a job has left in its folder."""
    path = folder / "records.jsonl"
    return [Record.from_json(json.loads(line)) for line in path.read_text().splitlines()] if path.exists() else []


def measure(point: Point, folder: Path) -> None:
    """Write the Records of a point into its folder, each as soon as it is there; an error is the last of them."""
    with (folder / "records.jsonl").open("w") as file:

        def write(record: Record) -> None:
            file.write(json.dumps(record.as_json()) + "\n")
            file.flush()

        try:
            for record in point.function()(folder):
                write(record)
        except Exception as error:
            traceback.print_exc()
            lines = str(error).strip().splitlines() or ["no reason given"]
            write(Record(point.name, reason=f"{type(error).__name__}: {lines[-1][:300]}"))


if __name__ == "__main__":
    measure(POINTS[sys.argv[1]], Path(sys.argv[2]))

"""Runs side by side, each in processes of its own.

Every process has one kernel thread, so its numbers do not depend on how many run at a time.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ...errors import UserError, cause_of
from ...training.ranks.launch import plain_environment
from .run import OUTPUT, Run

POLL = 0.2


def environment() -> dict[str, str]:
    """Variables of a process of one kernel thread that imports what this one does."""
    return {**plain_environment(), "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


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
                active.append(Progress(waiting.pop(0)))
            for entry in list(active):
                try:
                    told = entry.advance()
                except (UserError, OSError) as error:  # of this run alone: the others go on
                    told = failed[entry.run.label] = cause_of(error)
                if told:
                    say(f"{entry.run.label}: {told}")
                if entry.run.label in failed or entry.stage == "end":
                    active.remove(entry)
            time.sleep(POLL)
    finally:
        for entry in active:
            entry.kill()
    return failed


class Progress:
    """A run on its way through its stages: begin, training, evaluation, end."""

    def __init__(self, run: Run) -> None:
        self.run, self.stage, self.process, self.began = run, "begin", None, time.monotonic()

    def advance(self) -> str | None:
        """Go to the next stage where this one has ended; returns what there is to say. UserError when it failed."""
        if self.stage == "begin":
            self.run.begin()
            self._start("training", self.run.training())
            return f"training, output in {self.run.folder / OUTPUT}"
        if self.process.poll() is None:
            return None
        seconds = time.monotonic() - self.began
        if self.process.returncode and self.stage == "training" and self.run.diverged():
            self.stage = "end"
            return self.run.finish_diverged(seconds)
        if self.process.returncode:
            raise UserError(f"{self.stage} ended with status {self.process.returncode}: {self.run.last_line()}")
        if self.stage == "training":
            self._start("evaluation", self.run.evaluation())
            return None
        self.stage = "end"
        return self.run.finish(seconds)

    def _start(self, stage: str, arguments: Sequence[str]) -> None:
        self.process, self.stage = start(self.run, arguments), stage

    def kill(self) -> None:
        """End its process, if it has one."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()


def start(run: Run, arguments: Sequence[str]) -> subprocess.Popen:
    """A process of the command line program; what it says goes to the run's OUTPUT file."""
    with open(run.folder / OUTPUT, "ab") as output:
        return subprocess.Popen(
            [sys.executable, "-m", "ernie_vil2.cli.main", *arguments],
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )


def answer(start: str, job: Any, what: str, variables: Mapping[str, str] | None = None) -> str:
    """The last word that a Python process says, given the code it starts with and a job as JSON on standard input.

    variables: its environment, by default this process's. UserError with its last line where it ends with an error.
    """
    command = [sys.executable, "-W", "ignore", "-c", start]
    done = subprocess.run(command, input=json.dumps(job), capture_output=True, text=True, env=variables)
    if done.returncode:
        reason = (done.stderr.strip() or "it gave no reason").split("\n")[-1]
        raise UserError(f"{what} could not be measured: {reason}")
    return done.stdout.split()[-1]

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

from ...errors import UserError
from .run import OUTPUT, Run

POLL = 0.2


def environment() -> dict[str, str]:
    """Variables of a process of one kernel thread that imports what this one does."""
    return {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


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
                run.begin()
                say(f"{run.label}: training, output in {run.folder / OUTPUT}")
                active.append((run, start(run, run.training()), "training", time.monotonic()))
            time.sleep(POLL)
            for entry in [entry for entry in active if entry[1].poll() is not None]:
                active.remove(entry)
                run, process, stage, began = entry
                if process.returncode:
                    failed[run.label] = f"{stage} ended with status {process.returncode}: {run.last_line()}"
                    say(f"{run.label}: {failed[run.label]}")
                elif stage == "training":
                    active.append((run, start(run, run.evaluation()), "evaluation", began))
                else:
                    say(f"{run.label}: {run.finish(time.monotonic() - began)}")
    finally:
        for _, process, _, _ in active:
            process.kill()
            process.wait()
    return failed


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

"""Point 7: how long the processes of a run go on when one of its ranks is killed."""

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT
from tests.gpu.launching import command
from tests.gpu.records import Figure, Record
from tests.training.runs import environment, kill_ranks, rank_of, write_config

PATIENCE = 25.0
"""Seconds that a run has to take its first steps, and then to end."""


def processes_of(log: Path) -> set[int]:
    """Ids of living processes that a launcher with this log folder has started."""
    found = set()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            variables = (entry / "environ").read_bytes().split(b"\0")
            state = (entry / "stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if f"PADDLE_LOG_DIR={log}".encode() in variables and state not in "ZX":
            found.add(int(entry.name))
    return found


def wait_until(condition, seconds: float) -> float | None:
    """Seconds until a condition holds, or None where it does not in time."""
    began = time.monotonic()
    while not condition():
        if time.monotonic() - began > seconds:
            return None
        time.sleep(0.02)
    return time.monotonic() - began


def measure(folder: Path, patience: float = PATIENCE, **changes) -> Iterator[Record]:
    """kill -9 of rank 1 in the middle of a run of two; patience: seconds for its begin and for its end."""
    path = write_config(folder, train__steps=1000000, train__save_every=0, **changes)
    log, lines = folder / "launch", folder / "run" / "log.jsonl"
    with (folder / "launcher.txt").open("w") as output:
        launcher = subprocess.Popen(
            command(folder, "tools/train.py", "-c", path),
            cwd=ROOT,
            env=environment(),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        stepping = wait_until(lambda: lines.exists() and lines.read_bytes().count(b"\n") > 4, patience)
        if stepping is None:
            said = (folder / "launcher.txt").read_text(errors="replace").strip().splitlines()[-1:]
            yield Record("kill", reason=f"the run took no steps within {patience:g} s: {' '.join(said)}")
            return
        peer, victim = rank_of(launcher.pid, 0), rank_of(launcher.pid, 1)
        os.kill(victim, signal.SIGKILL)
        began = time.monotonic()
        peer_ended = wait_until(lambda: peer not in processes_of(log), patience)
        rest = max(patience - (time.monotonic() - began), 0.1)
        launcher_ended = wait_until(lambda: launcher.poll() is not None, rest)
        whole = time.monotonic() - began
        wait_until(lambda: not processes_of(log), 2.0)
        yield end_record(peer_ended, whole if launcher_ended is not None else None, launcher.poll(), processes_of(log))
    finally:
        launcher.kill()
        launcher.wait()
        kill_ranks(log)


def end_record(peer: float | None, launcher: float | None, status: int | None, left: set[int]) -> Record:
    """What was seen: seconds until the other rank and the launcher ended, None for never."""
    return Record(
        "kill",
        "kill -9 of rank 1 of 2",
        {
            "the other rank ended after": Figure(peer, "s", most=PATIENCE),
            "the launcher after": Figure(launcher, "s", most=PATIENCE),
            "its status": Figure(status, "", least=1),
            "processes left": Figure(len(left), "", most=0),
        },
        "a lost rank ends the job, and the same command with --resume auto goes on",
    )

"""A command as a victim: its processes are marked, signalled at a moment, and waited for until all are gone."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from tests.conftest import ROOT
from tests.kills.forked import COMMITS, Forked, small_steps
from tests.training.runs import environment

MARK = "ERNIE_VIL2_KILL_TEST"
LOOK = 0.002
"""Seconds between two looks at the files."""
UNWATCHED = {"visualdl", "launch", "output.txt", COMMITS}


def names_and_sizes(folder: Path) -> set[tuple[str, int]]:
    """Every file and folder below `folder` with its size; what only shows something is left out."""
    found, waiting = set(), [os.fspath(folder)]
    while waiting:
        place = waiting.pop()
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name in UNWATCHED:
                    continue
                with contextlib.suppress(FileNotFoundError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting.append(entry.path)
                        found.add((entry.path, -1))
                    else:
                        found.add((entry.path, entry.stat().st_size))
    return found


class Victim:
    """A command that runs in `folder`; everything it starts, in whatever session, carries its mark.

    forked: it is a verb of `index`, which starts no process, and runs in small steps as a fork of this one.
    """

    def __init__(self, command: list[str], folder: Path, forked: bool = False) -> None:
        self.folder, self.mark = folder, uuid.uuid4().hex
        self.began, self.ended = time.monotonic(), 0.0
        self.seen, self.changes = names_and_sizes(folder), 0
        with open(folder / "output.txt", "ab") as output:
            self.text_from = output.tell()
            if forked:
                self.process = Forked(command, output, lambda: small_steps(folder / COMMITS))
                return
            self.process = subprocess.Popen(
                [sys.executable, "-W", "ignore", *map(str, command)],
                cwd=ROOT,
                env=environment(**{MARK: self.mark}),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    @property
    def output(self) -> str:
        """What it has printed so far."""
        with open(self.folder / "output.txt", "rb") as output:
            output.seek(self.text_from)
            return output.read().decode("utf-8", "replace")

    def pids(self, wanted: Callable[[str, list[str]], bool] = lambda line, variables: True) -> list[int]:
        """Its processes, rising, of which wanted(command line, environment) holds."""
        found = []
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                variables = (entry / "environ").read_bytes().decode("utf-8", "replace").split("\0")
                line = (entry / "cmdline").read_bytes().decode("utf-8", "replace")
                if f"{MARK}={self.mark}" in variables and wanted(line, variables):
                    found.append(int(entry.name))
        return sorted(found)

    def loader_workers(self) -> list[int]:
        return self.pids(lambda line, variables: "spawn_main" in line)

    def rank(self, number: int) -> list[int]:
        """The process of a rank, without its loader workers."""
        return self.pids(
            lambda line, variables: f"PADDLE_TRAINER_ID={number}" in variables and "tools/train.py" in line
        )

    def wait_until(self, ready: Callable[[], bool]) -> bool:
        """Look at the files until ready(); whether that came before the end."""
        while not ready():
            if not self.running:
                return False
            now = names_and_sizes(self.folder)
            self.changes += now != self.seen
            self.seen = now
            time.sleep(LOOK)
        return self.running

    def wait_for_seconds(self, seconds: float) -> bool:
        """Whether it still runs so long after its start."""
        return self.wait_until(lambda: time.monotonic() - self.began >= seconds)

    def wait_for_change(self, number: int, delay: float) -> bool:
        """Whether it still runs `delay` seconds after a change of its files."""
        if not self.wait_until(lambda: self.changes >= number):
            return False
        time.sleep(delay)
        return self.running

    def wait_for_end(self, seconds: float) -> bool:
        """Whether all its processes end by themselves in that time."""
        last = time.monotonic() + seconds
        while self.running or self.pids():
            if time.monotonic() > last:
                return False
            time.sleep(0.02)
        self.ended = time.monotonic()
        return True

    def kill(self) -> None:
        """SIGKILL to all of it, again and again until nothing is left."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        while left := self.pids():
            for pid in left:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

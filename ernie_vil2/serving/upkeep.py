"""An index brought up to date while it is served: a process looks at its sources, again and again."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Sequence

from ..errors import cause_of

PATIENCE = 30.0
"""Seconds in which a process that was asked to end may commit what it has"""
SLOWEST = 5
"""How often the time between two looks is doubled at most, while they fail"""
LOOK = 0.05
"""Seconds between two questions whether something is there"""


class Upkeep:
    """One process at a time, which a thread starts `every` seconds after the end of the one before.

    command: called before each start, gives its arguments. there: whether the index is; where the first process failed
    without it, there is no other one. told: is given a sentence on each one that failed, which is followed by a longer
    pause. The process is in a group of its own, so that Ctrl-C at a terminal is for the server alone.
    """

    def __init__(
        self,
        command: Callable[[], Sequence[str]],
        there: Callable[[], bool],
        every: float,
        told: Callable[[str], object],
    ):
        self._command, self._there, self._every, self._told = command, there, every, told
        self._ending, self._guard = threading.Event(), threading.Lock()
        self._process: subprocess.Popen | None = None
        self._thread = threading.Thread(target=self._run, name="upkeep", daemon=True)
        self.first: int | None = None
        """Exit status of the first process, None until it has ended"""

    @property
    def pid(self) -> int | None:
        """Of the process that runs now."""
        process = self._process
        return process.pid if process and process.poll() is None else None

    def start(self) -> None:
        """Start the first process."""
        self._thread.start()

    def begun(self) -> bool:
        """Wait until the index is there; False where the first process has ended without it."""
        while not self._there():
            if self.first is not None:
                return self._there()
            time.sleep(LOOK)
        return True

    def stop(self) -> None:
        """Ask the process to end, wait for it, and start no other one."""
        self._ending.set()
        with self._guard:
            process = self._process
        if process is None:
            return
        process.terminate()
        try:
            process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            pass
        finally:
            process.kill()
            process.wait()

    def _run(self):
        failures = 0
        while not self._ending.is_set():
            status = self._look()
            if self._ending.is_set():
                return
            if self.first is None:
                self.first = status
                if status and not self._there():
                    return
            failures = min(failures + 1, SLOWEST) if status else 0
            pause = self._every * 2**failures
            if failures:
                self._told(f"bringing the index up to date {ended(status)}; it is tried again in {pause:,.0f} s")
            self._ending.wait(pause)

    def _look(self):
        """Start a process and wait for its end; its exit status."""
        with self._guard:
            if self._ending.is_set():
                return 0
            try:
                self._process = subprocess.Popen(
                    list(self._command()), stdin=subprocess.DEVNULL, start_new_session=True
                )
            except Exception as error:  # whatever is wrong with the command, the server goes on
                self._told(f"no process can be started: {cause_of(error)}")
                return os.EX_OSERR
        return self._process.wait()


def ended(status: int) -> str:
    """How a process ended that did not do what it should."""
    if status >= 0:
        return f"failed (status {status})"
    try:
        return f"was ended by {signal.Signals(-status).name}"
    except ValueError:
        return f"was ended by signal {-status}"

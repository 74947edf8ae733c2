"""A command of `index` in a fork of this process, which has loaded its modules: it begins at once, and is killed as any
other process. It commits every few rows, and notes each commit."""

import contextlib
import importlib
import json
import os
import pickle
import signal
import sys
import time
import traceback
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from ernie_vil2.stop import INTERRUPTED
from tests.conftest import ROOT

MODULES = (
    "cv2",
    "faiss",
    "paddle",
    "tokenizers",
    "ernie_vil2.cli.index.main",
    "ernie_vil2.inference.engines.paddle_inference",
    "ernie_vil2.inference.model",
    "ernie_vil2.search.neighbours.build",
    "ernie_vil2.systems.ernie_vil2",
)
"""What the first picture would load"""
ASKED = {signal.SIGINT, signal.SIGTERM}
COMMITS = "commits.txt"
"""Beside the index: a line of JSON for each commit of a scan"""
FILES, ROWS, SMALL = 3, 5, 12
"""Files that are read together, rows between two commits, and rows of a segment of the lowest tier"""


def load() -> None:
    """Import the modules, and start no thread that a fork would lack."""
    for name in MODULES:
        importlib.import_module(name)
    with contextlib.suppress(ImportError):
        importlib.import_module("pandas")  # which Arrow loads where it is installed


def small_steps(note: Path) -> None:
    """Make the commands of this process read, fold and commit in small steps, and note each commit of a scan."""
    from ernie_vil2.search.scan import scan, source_scan
    from ernie_vil2.search.scan.folder import folder_scan
    from ernie_vil2.search.scan.ledger import Ledger
    from ernie_vil2.search.store import folding, merge

    class Noted(Ledger):
        def commit(self) -> None:
            super().commit()
            snapshot = self.writer.snapshot
            line = json.dumps({"sequence": snapshot.manifest.sequence, "living": len(snapshot.images)})
            with open(note, "ab", buffering=0) as file:
                file.write(line.encode() + b"\n")

    scan.Ledger = partial(Noted, commit_rows=ROWS)
    folder_scan.CHUNK_FILES = source_scan.WINDOW = FILES
    folding.SMALL, folding.FAN = SMALL, 3
    merge.BLOCK = ROWS


class Forked:
    """The process of a command, with what `subprocess.Popen` has. prepare: called in it before."""

    def __init__(self, command: list[str], output: BinaryIO, prepare: Callable[[], object]) -> None:
        load()
        sys.stdout.flush()
        sys.stderr.flush()
        self.returncode: int | None = None
        held = signal.pthread_sigmask(signal.SIG_BLOCK, ASKED)
        self.pid = os.fork()
        if not self.pid:
            status = INTERRUPTED
            try:
                status = run(command, output, prepare)
            finally:  # whatever comes, nothing of this process is done twice
                os._exit(status)
        signal.pthread_sigmask(signal.SIG_SETMASK, held)
        with contextlib.suppress(OSError):  # the child does it too: whoever is first
            os.setpgid(self.pid, self.pid)

    def poll(self) -> int | None:
        """The exit status, None while it runs."""
        if self.returncode is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def wait(self) -> int:
        """The exit status, when it has ended."""
        while self.poll() is None:
            time.sleep(0.002)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """A signal, to it alone."""
        if self.poll() is None:
            os.kill(self.pid, number)


def run(command: list[str], output: BinaryIO, prepare: Callable[[], object]) -> int:
    """Run a verb as its tool does; the exit status."""
    status = 1
    try:
        with contextlib.suppress(OSError):
            os.setpgid(0, 0)
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, ASKED)
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
        sys.stdout, sys.stderr = (os.fdopen(number, "w", closefd=False) for number in (1, 2))
        os.chdir(ROOT)
        sys.argv = [str(argument) for argument in command]
        prepare()
        from ernie_vil2.cli.index.main import main
        from ernie_vil2.errors import run_tool

        run_tool(main, sys.argv[1:])
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # what Python would print of it
        traceback.print_exc()
    finally:
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            sys.stderr.flush()
    return status


def apart(function: Callable, *arguments: Any) -> Any:
    """What a function returns in a fork of this process, so that no thread is left behind here."""
    reading, writing = os.pipe()
    pid = os.fork()
    if not pid:
        status = 1
        try:
            with open(writing, "wb") as pipe:
                pickle.dump(function(*arguments), pipe)
            status = 0
        except BaseException:  # what Python would print of it
            traceback.print_exc()
        finally:
            os._exit(status)
    os.close(writing)
    with open(reading, "rb") as pipe:
        found = pipe.read()
    _, status = os.waitpid(pid, 0)
    if status:
        raise RuntimeError(f"{function.__name__} failed apart")
    return pickle.loads(found)

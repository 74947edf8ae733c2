"""A process that runs case after case. What it is at stands in shared memory before it begins, so that a death is known
to be of that case; the one who watches it (`campaign.py`) also ends it where it takes too much."""

import faulthandler
import json
import mmap
import os
import resource
import shutil
import signal
import struct
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.fuzz.example import Example
from tests.fuzz.judge import BYTES, Target, Verdict, Watch, judge

NOW = struct.Struct("<qddq")
"""Number of the case or -1, monotonic time and processor time at its begin, resident bytes of the fresh process"""
SPARE = 4 << 30
"""Address space above that of the fresh process, so that no case can fill the machine before it is seen"""
DRIFT = 150 << 20
"""Bytes that earlier cases may have left behind before the process is replaced"""
PAGE = os.sysconf("SC_PAGE_SIZE")


def resident() -> int:
    """Bytes of memory that this process holds."""
    with open("/proc/self/statm", "rb") as handle:
        return int(handle.read().split()[1]) * PAGE


def mapped() -> int:
    """Bytes of address space that this process has taken."""
    with open("/proc/self/statm", "rb") as handle:
        return int(handle.read().split()[0]) * PAGE


def peak() -> int:
    """The most bytes that this process has held since `forget_peak`."""
    with open("/proc/self/status", "rb") as handle:
        return next(int(line.split()[1]) << 10 for line in handle if line.startswith(b"VmHWM"))


def forget_peak() -> None:
    with open("/proc/self/clear_refs", "wb") as handle:
        handle.write(b"5")


class Worker:
    """The inside of the process: `scratch` is its own folder, `captured` the descriptor of what it prints."""

    def __init__(self, targets: dict[str, Target], scratch: Path, captured: int, now: mmap.mmap) -> None:
        self.targets, self.scratch, self.now, self.count = targets, scratch, now, 0
        for descriptor in (1, 2):
            os.dup2(captured, descriptor)
        said = os.open(scratch.with_suffix(".said"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        sys.stdout, sys.stderr = (
            open(said, "w", encoding="utf-8", errors="backslashreplace", closefd=False) for _ in range(2)
        )
        faulthandler.enable(captured)
        faulthandler.register(signal.SIGUSR1, captured)
        os.environ.update(TMPDIR=str(scratch), HOME=str(scratch), XDG_CACHE_HOME=str(scratch), COLUMNS="120")
        self.watch, self.base = Watch(said, captured), resident()
        self.mapped = mapped()
        resource.setrlimit(resource.RLIMIT_AS, (self.mapped + SPARE, self.mapped + SPARE))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    def run(self, number: int, example: Example) -> Verdict:
        """Hand one example to its target and judge how that ends."""
        self.count += 1  # no folder twice, since readers remember files by their paths
        target, folder = self.targets[example.target], self.scratch / f"case-{self.count:06d}"
        if not target.in_memory:
            example.write(folder)
            os.chdir(folder)
        forget_peak()
        self.now[:] = NOW.pack(number, time.monotonic(), time.process_time(), self.base)
        verdict = judge(target, (example, folder), self.watch, self.scratch)
        self.now[:] = NOW.pack(-1, time.monotonic(), time.process_time(), self.base)
        verdict.bytes = max(0, peak() - self.base)
        if verdict.bytes > BYTES and not verdict.fault:
            verdict.fault, verdict.kind = "memory", verdict.outcome
            verdict.detail = f"{verdict.bytes >> 20:,} MiB; {verdict.detail}"
        os.chdir(self.scratch)
        if not target.in_memory:
            shutil.rmtree(folder, ignore_errors=True)
        return verdict

    def serve(self, orders: int, answers: int, make: Callable[[str, int], Example]) -> None:
        """Run the cases that lines `kind first end` of `orders` name until it is closed; a line of JSON for each, and
        a last one `null` before the process leaves because it has grown."""
        with open(orders, encoding="utf-8") as lines, open(answers, "w", encoding="utf-8") as out:
            for line in lines:
                kind, first, end = line.rsplit(maxsplit=2)
                for number in range(int(first), int(end)):
                    verdict = self.run(number, make(kind, number))
                    out.write(json.dumps([number, verdict.as_dict()]) + "\n")
                    out.flush()
                    if resident() > self.base + DRIFT or mapped() > self.mapped + SPARE // 4:
                        out.write("null\n")
                        out.flush()
                        return

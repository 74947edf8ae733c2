"""Many cases over a few processes, each watched from outside; equal faults in one group, with the smallest example."""

import contextlib
import json
import mmap
import os
import select
import shutil
import signal
import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.fuzz.example import RECIPE, Example
from tests.fuzz.judge import BYTES, CPU_SECONDS, WALL_SECONDS, Target, Verdict, innermost
from tests.fuzz.worker import NOW, PAGE, Worker

CHUNK = 40
"""Cases that a process is given at once"""
TICK = 0.05
"""Seconds between two looks at the processes"""
DUMP = 0.2
"""Seconds that a process has to say where it is before it is killed"""
STILL_SECONDS = 10.0
"""In which a process that waits has done nothing, and is taken to hang"""
KEPT = "kept"
"""The kind of examples that were kept, which no seed makes"""
TICKS = os.sysconf("SC_CLK_TCK")
Make = Callable[[str, int, int], Example]
"""The example of (kind, seed, number)"""


@dataclass(frozen=True)
class Limits:
    """What ends a process: a case that is over `seconds` of processor time is told to be slow if it ends at all below
    twice that."""

    seconds: float = 2 * CPU_SECONDS
    wall: float = WALL_SECONDS
    still: float = STILL_SECONDS
    bytes: int = BYTES


@dataclass
class Group:
    """Cases with one fault."""

    kind: str
    verdict: Verdict
    number: int
    example: Example
    count: int = 1


@dataclass
class Tally:
    """What the cases of one kind came to."""

    cases: int = 0
    wall: float = 0.0
    outcomes: Counter = field(default_factory=Counter)
    faults: int = 0
    slowest: tuple[float, int] = (0.0, 0)
    largest: tuple[int, int] = (0, 0)

    def add(self, number: int, verdict: Verdict) -> None:
        self.cases += 1
        self.faults += bool(verdict.fault)
        self.outcomes[verdict.fault or verdict.outcome] += 1
        self.slowest = max(self.slowest, (verdict.seconds, number))
        self.largest = max(self.largest, (verdict.bytes, number))


class Child:
    """A worker process seen from outside."""

    def __init__(self, targets: dict[str, Target], make: Callable[[str, int], Example], scratch: Path) -> None:
        shutil.rmtree(scratch, ignore_errors=True)
        scratch.mkdir(parents=True)
        self.scratch, self.now = scratch, mmap.mmap(-1, NOW.size)
        self.now[:] = NOW.pack(-1, 0.0, 0.0, 0)
        self.captured = os.open(scratch.with_suffix(".printed"), os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        order_in, order_out = os.pipe()
        answer_in, answer_out = os.pipe()
        sys.stdout.flush()
        self.pid = os.fork()
        if not self.pid:
            try:
                os.close(order_out)
                os.close(answer_in)
                signal.signal(signal.SIGINT, signal.SIG_IGN)
                Worker(targets, scratch, self.captured, self.now).serve(order_in, answer_out, make)
            except BaseException:
                os.write(self.captured, traceback.format_exc().encode())
                os._exit(70)
            os._exit(0)
        os.close(order_in)
        os.close(answer_out)
        self.orders, self.answers, self.buffer = order_out, answer_in, b""
        self.kind, self.next, self.end, self.ended, self.still = "", 0, 0, "", (-1, 0.0, 0.0)

    def order(self, kind: str, first: int, end: int) -> None:
        self.kind, self.next, self.end = kind, first, end
        with contextlib.suppress(BrokenPipeError):  # it leaves because it has grown: the order is given again
            os.write(self.orders, f"{kind} {first} {end}\n".encode())

    def verdicts(self) -> Iterator[tuple[int, Verdict]] | None:
        """Cases that have ended since the last call; None when the process is gone."""
        data = os.read(self.answers, 1 << 16)
        if not data:
            return None
        *lines, self.buffer = (self.buffer + data).split(b"\n")
        found = [json.loads(line) for line in lines]
        return iter([(number, Verdict(**content)) for number, content in filter(None, found)])

    def used(self) -> tuple[float, int, bool]:
        """Processor seconds and resident bytes of the process, and whether it waits for something that may never come,
        and not for a processor or a disk."""
        try:
            with open(f"/proc/{self.pid}/stat", "rb") as handle:
                fields = handle.read().rpartition(b") ")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return 0.0, 0, False
        return (int(fields[11]) + int(fields[12])) / TICKS, int(fields[21]) * PAGE, fields[0] == b"S"

    def too_much(self, limits: Limits) -> str:
        """The fault for which the process must be ended, or nothing."""
        number, began, processor, base = NOW.unpack(self.now[:])
        if number < 0:
            return ""
        seconds, held, waits = self.used()
        if not waits or (number, seconds) != self.still[:2]:
            self.still = number, seconds, time.monotonic()
        if held > base + limits.bytes:
            return "memory"
        if seconds > processor + limits.seconds:
            return "slow"
        still = time.monotonic() > self.still[2] + limits.still
        return "hang" if still or time.monotonic() > began + limits.wall else ""

    def kill(self, fault: str = "") -> None:
        self.ended = fault
        if fault:
            os.kill(self.pid, signal.SIGUSR1)
            time.sleep(DUMP)
        os.kill(self.pid, signal.SIGKILL)

    def death(self) -> tuple[int, Verdict] | None:
        """Wait for the end of the process; the case that it died of, or None where it left by itself."""
        _, status = os.waitpid(self.pid, 0)
        number, _, _, base = NOW.unpack(self.now[:])
        printed = os.pread(self.captured, 1 << 16, 0).decode("utf-8", "replace")
        for descriptor in (self.orders, self.answers, self.captured):
            os.close(descriptor)
        code = os.waitstatus_to_exitcode(status)
        if code == 70:
            raise RuntimeError(f"the fuzzer itself failed at {self.kind}:\n{printed}")
        if number < 0:
            return None
        died = f"signal {signal.Signals(-code).name}" if code < 0 else f"exit {code}"
        dump = printed[printed.rfind("(most recent call first)") :]
        fault = self.ended or "crash"
        kind = fault if self.ended else died
        return number, Verdict(died, fault, kind, innermost(dump, first=True), printed[-6000:], bytes=0)


class Campaign:
    """Runs the cases of (kind, seed) over `workers` processes. `kinds`: {name: cases at most, or None for any}."""

    def __init__(
        self,
        targets: dict[str, Target],
        make: Make,
        seed: int,
        scratch: Path,
        workers: int = 1,
        limits: Limits = Limits(),
    ) -> None:
        self.targets, self.make, self.seed, self.limits = targets, make, seed, limits
        self.scratch, self.workers = scratch, workers
        self.tallies: dict[str, Tally] = {}
        self.groups: dict[tuple[str, ...], Group] = {}
        self.made, self.rest = 0, []

    def example(self, kind: str, number: int) -> Example:
        return self.make(kind, self.seed, number)

    def run(self, kinds: list[str], first: int = 0, cases: int | None = None, seconds: float | None = None) -> None:
        """Cases `first` and on of each kind, until there were so many of each, or the time is over."""
        self.tallies = {kind: Tally() for kind in kinds}
        self.places = dict.fromkeys(kinds, first)
        self.last = None if cases is None else first + cases
        self.until = None if seconds is None else time.monotonic() + seconds
        children: list[Child] = []
        try:
            while True:
                while len(children) < self.workers and (order := self._order()):
                    children.append(self._child(order))
                if not children:
                    return
                ready = select.select([child.answers for child in children], [], [], TICK)[0]
                for child in list(children):
                    self._look(child, child.answers in ready, children)
        finally:
            for child in children:
                child.kill()
                child.death()

    def _order(self):
        """The next (kind, first, end), of the kind that has had the least time."""
        if self.rest:
            return self.rest.pop()
        if self.until is not None and time.monotonic() > self.until:
            return None
        open_kinds = [kind for kind, place in self.places.items() if self.last is None or place < self.last]
        if not open_kinds:
            return None
        kind = min(open_kinds, key=lambda name: (self.tallies[name].wall, self.places[name]))
        begin = self.places[kind]
        end = begin + CHUNK if self.last is None else min(self.last, begin + CHUNK)
        self.places[kind] = end
        return kind, begin, end

    def _child(self, order):
        self.made += 1
        child = Child(self.targets, self.example, self.scratch / f"worker-{self.made:05d}")
        child.since = time.monotonic()
        child.order(*order)
        return child

    def _look(self, child, has_answers, children):
        if not has_answers:
            if not child.ended and (fault := child.too_much(self.limits)):
                child.kill(fault)
            return
        verdicts = child.verdicts()
        self._spent(child)
        if verdicts is None:
            children.remove(child)
            died = child.death()
            if died is not None:
                self._take(child.kind, *died)
                child.next = died[0] + 1
            if child.next < child.end and not (self.until is not None and time.monotonic() > self.until):
                self.rest.append((child.kind, child.next, child.end))
            shutil.rmtree(child.scratch, ignore_errors=True)
            for suffix in (".printed", ".said"):
                child.scratch.with_suffix(suffix).unlink(missing_ok=True)
            return
        for number, verdict in verdicts:
            self._take(child.kind, number, verdict)
            child.next = number + 1
        if child.next == child.end:
            order = self._order()
            if order:
                child.order(*order)
            else:
                child.end = 0
                child.kill()

    def _spent(self, child):
        now = time.monotonic()
        self.tallies[child.kind].wall += now - child.since
        child.since = now

    def _take(self, kind, number, verdict):
        self.tallies[kind].add(number, verdict)
        if not verdict.fault:
            return
        key = (kind, verdict.fault, verdict.kind, verdict.frame.split(":")[0] + verdict.frame.rpartition(" ")[2])
        example = self.example(kind, number)
        known = self.groups.get(key)
        if known is None:
            self.groups[key] = Group(kind, verdict, number, example)
            return
        known.count += 1
        if len(example) < len(known.example):
            known.verdict, known.number, known.example = verdict, number, example


def keep(groups: list[Group], folder: Path, seed: int) -> None:
    """Write the smallest example of each group, and what is known of it, into a folder."""
    for group in groups:
        verdict = group.verdict
        name = f"{group.kind}-{verdict.fault}-{group.number}".replace(" ", "-")
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        group.example.save(place / RECIPE)
        told = [f"{group.count} cases: {verdict.fault}, {verdict.kind}, {verdict.frame}", *replays(group, seed, place)]
        (place / "told.txt").write_text("\n".join([*told, "", verdict.detail, ""]), "utf-8", "backslashreplace")


def replays(group: Group, seed: int, place: Path | None = None) -> list[str]:
    """Commands that run the example of a group again."""
    lines = [] if group.kind == KEPT else [f"make fuzz KIND={group.kind} SEED={seed} CASE={group.number}"]
    return lines if place is None else [*lines, f"make fuzz EXAMPLE={place / RECIPE}"]

"""The watch of a rank over the others: who has not come to where it waits, since when, and when that is too long."""

import contextlib
import logging
import math
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from ... import waiting
from ...errors import UserError
from ...waiting import Reminder
from .launch import Launch, way_out
from .roll import Keeper, Member, Table

PATIENCE = 1800.0
TICK = 1.0
SILENT = 8.0
"""Seconds without a word of its watch after which a rank is stopped or out of reach"""
GRACE = 5.0
"""Seconds in which what waits must hear that the patience is over; what blocks in a collective never does"""
LAST = 1 << 40
"""The place of a rank that has left"""
SHORTEST_PAUSE, LONGEST_PAUSE = 0.02, 0.25
LOG = logging.getLogger("ernie_vil2")


class LostRank(UserError):
    """Other ranks have not come in time, so that nothing can be done together any more, not even saving."""


class Absence:
    """Ranks that are missing: `told` gives a sentence when it is time for one, `over` says that it took too long.

    silence: what is said of those without a sign of life. Times are those of time.monotonic.
    """

    def __init__(self, patience: float, silence: str = "stopped or out of reach") -> None:
        self.patience, self.silence = patience, silence
        self.since, self.reminder, self.missing = math.inf, Reminder(), ""

    def note(self, silent: Sequence[int], busy: Sequence[int], now: float, since: float) -> None:
        """The ranks that are missing now: those without a sign of life, and those at work elsewhere, since when."""
        kinds = ((silent, self.silence), (busy, "at work elsewhere"))
        found = [f"{named(ranks)} ({kind})" for ranks, kind in kinds if ranks]
        self.missing = " and ".join(found)
        self.since = min(self.since, since) if found else math.inf
        if not found:
            self.reminder = Reminder()

    def begun(self, now: float) -> str:
        """The time of day at which it began, and how long ago that is."""
        waited = now - self.since
        return f"{time.strftime('%H:%M:%S', time.localtime(time.time() - waited))} ({waited:.0f} s)"

    def told(self, now: float) -> str | None:
        """A sentence, after ten seconds and then ever more rarely; else None."""
        if not self.reminder.due(now - self.since):
            return None
        limit = f"the limit, train.patience, is {self.patience:g} s" if self.patience else "for as long as it takes"
        return f"waiting for {self.missing} since {self.begun(now)}; {limit}"

    def over(self, now: float) -> bool:
        """Whether the patience has ended."""
        return bool(self.patience) and now - self.since >= self.patience


def named(ranks: Sequence[int]) -> str:
    """Ranks in words; of many the first few."""
    shown = [str(rank) for rank in ranks[:8]] + [f"{len(ranks) - 8} more"] * (len(ranks) > 8)
    return f"rank {shown[0]}" if len(shown) == 1 else f"ranks {', '.join(shown[:-1])} and {shown[-1]}"


def missing_ranks(table: Table | None, own: int, size: int, place: int) -> tuple[list[int], list[int], float]:
    """(ranks without a sign of life, ranks at another place, longest silence in seconds) of those that are not at a
    place, or are silent there; a table of None is the silence of rank 0, which keeps it."""
    if table is None:
        return [0], [], math.inf
    silent, busy, longest = [], [], 0.0
    for rank in range(size):
        there, age = table.get(rank, (-1, math.inf))
        if rank == own or there > place or (there == place and age < SILENT):
            continue
        (silent if age >= SILENT else busy).append(rank)
        longest = max(longest, age)
    return silent, busy, longest


class Watch:
    """Looks once a second, in a thread, whether the others are where this rank waits; costs a step nothing.

    `together` marks what all ranks do together, in the same order. Absence is told in the log; when it has lasted for
    `patience` seconds (0: never), `check` raises LostRank, and a rank that blocks in a collective instead is ended with
    exit code 1. blocking: whether a collective may hang with all ranks in it, which then counts as an absence.
    """

    def __init__(self, rank: int, size: int, roll: Keeper | Member, patience: float, blocking: bool = False) -> None:
        self.rank, self.size, self.roll, self.patience, self.blocking = rank, size, roll, patience, blocking
        self.place, self.section = 1, None
        self.fault: LostRank | None = None
        self.absence = Absence(patience)
        self.ended = threading.Event()
        self.thread = threading.Thread(target=self._look, name="watch over ranks", daemon=True)
        self.thread.start()

    @contextmanager
    def together(self) -> Iterator[None]:
        """What the block does is done by all ranks, and waits for them."""
        outer = self.section
        self.enter()
        try:
            yield
        finally:
            self.enter() if outer is not None else self.apart()

    @contextmanager
    def alone(self) -> Iterator[None]:
        """Inside `together`: what the block does is this rank's own work, for which the others wait."""
        self.apart()
        try:
            yield
        finally:
            self.enter()

    def enter(self) -> None:
        """Something that all ranks do together begins."""
        self.place += 1
        self.section = (self.place, time.monotonic())

    def apart(self) -> None:
        """Nothing is waited for."""
        self.section = None

    def check(self) -> None:
        """Raise LostRank when the patience is over."""
        if self.fault is not None:
            raise self.fault

    def close(self) -> None:
        """This rank has left: nobody need wait for it any more."""
        self.ended.set()
        self.thread.join(TICK + 2 * GRACE)
        self.roll.tell(LAST)

    def _look(self) -> None:
        seen = None
        while not self.ended.wait(TICK):
            table, section = self.roll.tell(self.place), self.section
            if section is None or section is not seen:
                self.absence, seen = Absence(self.patience), section
            if section is None:
                continue
            place, began = section
            now = time.monotonic()
            silent, busy, longest = missing_ranks(table, self.rank, self.size, place)
            if self.blocking and not silent and not busy and self.patience and now - began >= self.patience:
                silent, longest = [rank for rank in range(self.size) if rank != self.rank], math.inf
            self.absence.note(silent, busy, now, max(began, now - longest))
            if told := self.absence.told(now):
                LOG.warning(told)
            if self.absence.over(now):
                self._end(section, now)
                return

    def _end(self, section: tuple[int, float], now: float) -> None:
        """Tell who waits, and where nobody hears, end the process: no other thread can break a collective off."""
        self.fault = LostRank(
            f"{self.absence.missing} has not come since {self.absence.begun(now)}, longer than train.patience "
            f"({self.patience:g} s); look at log/workerlog.* there, and go on from the last checkpoint with "
            "--resume auto"
        )
        if self.ended.wait(GRACE) or self.section is not section:
            return
        with contextlib.suppress(Exception):  # a closed stream must not keep the process
            print(f"error: {self.fault}", file=sys.stderr, flush=True)
            sys.stdout.flush()
        os._exit(1)


def call_roll(launch: Launch, patience: float) -> Keeper | Member:
    """Meet the other ranks of a launch, before Paddle joins them in calls that nothing can interrupt.

    Waiting is told as in a Watch. Raises LostRank when `patience` seconds have passed (0: never), UserError where rank
    0 cannot listen.
    """
    began, absence, pause = time.monotonic(), Absence(patience, "not there"), SHORTEST_PAUSE
    meeting = f"at {launch.host}:{launch.port}"
    roll = Member(launch.rank, launch.size, launch.host, launch.port) if launch.rank else open_roll(launch)
    while True:
        table = roll.tell(1)
        if roll.whole.wait(SHORTEST_PAUSE) if isinstance(roll, Keeper) else table and len(table) == launch.size:
            return roll
        now = time.monotonic()
        absent = [0] if table is None else [rank for rank in range(launch.size) if rank not in table]
        absence.note(absent, [], now, began)
        if told := absence.told(now):
            LOG.warning(f"{told.replace(' since', f' {meeting} since', 1)}; {way_out()}")
        if absence.over(now):
            raise LostRank(
                f"{absence.missing} has not come {meeting} since {absence.begun(now)}, longer than train.patience "
                f"({patience:g} s), though PADDLE_TRAINERS_NUM says {launch.size} processes; {way_out()}"
            )
        time.sleep(pause)
        pause = min(2 * pause, LONGEST_PAUSE)


@contextmanager
def joining(patience: float) -> Iterator[None]:
    """While Paddle joins the ranks, in calls that no thread of this process outlives, another process watches."""
    command = [sys.executable, "-I", "-S", Path(__file__).with_name("joining_guard.py")]
    numbers = map(str, (os.getpid(), waiting.FIRST, patience))
    with subprocess.Popen([*command, *numbers], stdin=subprocess.PIPE):  # its end closes the pipe, which ends the guard
        yield


def open_roll(launch: Launch) -> Keeper:
    """The roll at rank 0's port; a job that has just ended may hold it for seconds."""
    last = time.monotonic() + waiting.FIRST
    while True:
        try:
            return Keeper(launch.port, launch.size)
        except OSError as error:
            if time.monotonic() > last or isinstance(error, PermissionError):
                raise UserError(
                    f"rank 0 cannot listen at port {launch.port} ({error.strerror}), where the ranks meet; {way_out()}"
                ) from None
        time.sleep(0.2)

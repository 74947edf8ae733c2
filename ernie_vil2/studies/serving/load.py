"""Rounds of more and more clients against one server, and a long one for what grows with time."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ...runtime import cpu_count
from ..speed.turns.process import Process
from .clients import START
from .server_process import ServerProcess

WARM = 2.0
"""Seconds of a round before those that count"""
MINUTE = 60.0
PROCESSES = 2
"""Of clients, at most: what asks shall not take more of the processor than what answers"""


@dataclass
class Level:
    """What was seen at a number of clients. milliseconds: {kind: of answers}; busy: refusals for a moment; wrong:
    {what: times}; resident: MiB of the server, at its end."""

    clients: int
    seconds: float
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    busy: int = 0
    wrong: dict[str, int] = field(default_factory=dict)
    resident: float = 0.0

    @property
    def all(self) -> list[float]:
        """Milliseconds of all answers."""
        return [one for times in self.milliseconds.values() for one in times]

    def percentile(self, share: float, kind: str | None = None) -> float:
        """Milliseconds that a share, in percent, of the answers took at most; NaN where there are none."""
        times = self.all if kind is None else self.milliseconds.get(kind, [])
        return float(np.percentile(times, share)) if times else float("nan")


@dataclass
class Load:
    """What was measured. pictures: of the index; levels: a round each; soak: a level a minute; most: MiB of the server
    at its peak."""

    pictures: int
    cores: int
    levels: list[Level] = field(default_factory=list)
    soak: list[Level] = field(default_factory=list)
    most: float = 0.0


def measure(
    folder: Path,
    settings: dict[str, Any],
    clients: Sequence[int],
    seconds: float,
    kinds: list[str],
    soak: float,
    log: Path,
    note: Callable[[str], object],
    plugins: Sequence[str] = (),
) -> Load:
    """A Load on a server of an index. soak: minutes at the largest number of clients, after the rounds.

    kinds: of questions; settings: of `ServerSettings` beside folder and port; log: file of what the server writes.
    plugins: modules that the server is given, too. Raises UserError where the server stops.
    """
    note("starting the server")
    settings = {"folder": os.fspath(folder), "port": 0, **settings}
    with ServerProcess(settings, log, plugins) as server, ExitStack() as stack:
        job = {"address": server.address, "index": folder.name, "kinds": kinds}
        sides = []
        for number in range(min(PROCESSES, max(clients))):
            sides.append(Process(f"clients {number}", START, job))
            stack.callback(sides[-1].close)
        found, rounds = Load(sides[0].told["pictures"], cpu_count()), iter(range(10**9))
        for count in clients:
            note(f"{count} clients, {seconds:.0f} s")
            found.levels.append(one_round(server, sides, count, seconds, WARM, next(rounds)))
        for minute in range(int(np.ceil(soak))):
            note(f"{max(clients)} clients, minute {minute + 1} of {soak:.0f}")
            found.soak.append(one_round(server, sides, max(clients), min(soak - minute, 1) * MINUTE, 0.0, next(rounds)))
        found.most = server.memory()["most"]
    return found


def one_round(
    server: ServerProcess, sides: Sequence[Process], clients: int, seconds: float, warm: float, number: int
) -> Level:
    """A round of so many clients, shared out over processes."""
    used = sides[:clients]
    counts = [len(range(place, clients, len(used))) for place in range(len(used))]
    requests = [
        {"clients": count, "seconds": seconds, "warm": warm, "seed": 1000 * (len(used) * number + place)}
        for place, count in enumerate(counts)
    ]
    with ThreadPoolExecutor(len(used)) as pool:
        rounds = list(pool.map(lambda side, request: side.ask(request), used, requests))
    level, wrong = Level(clients, seconds), Counter()
    for one in rounds:
        level.busy += one["busy"]
        wrong.update(one["wrong"])
        for kind, times in one["milliseconds"].items():
            level.milliseconds.setdefault(kind, []).extend(times)
    level.wrong, level.resident = dict(wrong), server.memory()["now"]
    return level

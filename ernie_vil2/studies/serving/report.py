"""What was measured of a server, as tables and as JSON."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ..speed.turns.tables import aligned
from .load import Level, Load
from .questions import SHARES

COMMAND = "bench serving"
HEAD = ("clients", "requests/s", "p50, ms", "p95, ms", "p99, ms", "429", "wrong", "server, MiB")
PERCENTILES = (50, 95, 99)


def tables(found: Load) -> str:
    """The figures: all requests by number of clients, each kind of them, and a long round minute by minute."""
    parts = [f"{found.pictures:,} pictures, {found.cores} cores, at most {found.most:,.0f} MiB"]
    parts.append(aligned(HEAD, [(f"{level.clients}", *figures(level)) for level in found.levels]))
    rows = [
        (f"{level.clients}, {kind}", f"{len(level.milliseconds[kind]):,}", *times(level, kind))
        for level in found.levels
        for kind in SHARES
        if kind in level.milliseconds
    ]
    parts.append(aligned(("clients, what", "requests", *HEAD[2:5]), rows))
    if found.soak:
        rows = [(f"{minute}", *figures(level)) for minute, level in enumerate(found.soak, 1)]
        parts.append(aligned(("minute", *HEAD[1:]), rows))
    faults = sum((Counter(level.wrong) for level in (*found.levels, *found.soak)), Counter())
    parts += [f"wrong: {fault} ({count:,} times)" for fault, count in sorted(faults.items())]
    return "\n\n".join(parts)


def figures(level: Level) -> Sequence[str]:
    """A row of a level."""
    rate = f"{len(level.all) / level.seconds:,.1f}"
    return rate, *times(level), f"{level.busy:,}", f"{sum(level.wrong.values()):,}", f"{level.resident:,.0f}"


def times(level: Level, kind: str | None = None) -> Sequence[str]:
    """Milliseconds at PERCENTILES."""
    return tuple(f"{level.percentile(share, kind):.1f}" for share in PERCENTILES)


def content(found: Load) -> dict[str, Any]:
    """All of it as JSON has it."""
    return asdict(found)

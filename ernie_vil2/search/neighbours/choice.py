"""Which kind of index a number of rows gets, and the sentence that says why."""

from ...device import CPU
from ...errors import ConfigError, nearest
from .kinds import KINDS, row_bytes

AUTO = "auto"
FLAT_ROWS = 50_000
"""Rows up to which one query compares all in some 10 ms"""
MIB = 1 << 20
SHARE = 0.5
"""Of the memory that is free, for the neighbours of one side"""


def chosen(kind: str, rows: int, width: int, memory: int | None = None) -> tuple[str, str]:
    """(kind, reason) for a number of rows of so many values. kind: of `KINDS`, which is taken, or `auto`.

    memory: bytes that the index may take, by default half of what is free. ConfigError for another kind.
    """
    if kind != AUTO:
        return known(kind), f"{kind}, as it was asked for"
    most, need = memory_for(memory), rows * row_bytes("flat", width)
    if rows > FLAT_ROWS:
        return "pq", f"pq, for {rows:,} rows; up to {FLAT_ROWS:,} are compared one by one"
    if need > most:
        return "pq", f"pq, for flat would take {need / MIB:,.0f} MiB of memory and may take {most / MIB:,.0f}"
    return "flat", f"flat, for up to {FLAT_ROWS:,} rows are compared one by one quickly"


def memory_for(memory: int | None) -> float:
    """Bytes that an index may take, where nothing else is said."""
    return CPU.memory_total() * MIB * SHARE if memory is None else memory


def known(kind: str) -> str:
    """A kind of index; ConfigError for another word."""
    if kind not in KINDS:
        close = nearest(kind, KINDS)
        told = f"did you mean {close}?" if close else f"choose one of {AUTO}, {', '.join(KINDS)}"
        raise ConfigError(f"{kind!r} is no kind of index; {told}")
    return kind

"""A job that is killed: its command, the ways to end it, and who judges what it leaves."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

KILL, TERM, INT, TWICE, WORKER, RANK = "SIGKILL", "SIGTERM", "Ctrl-C", "Ctrl-C twice", "loader worker", "one rank"
ANY = (KILL, KILL, KILL, TERM, INT, TWICE)
"""How a command is ended; the first is as frequent as the others together."""
STATUS = {TERM: {0, -15, 143}, INT: {130, -2}, TWICE: {130, -2}}
"""Of a command that was asked to end and is not done: in order, or by the signal itself while it starts."""
Judge = Callable[[Path, Path], list[str]]


@dataclass
class Job:
    """A command that writes into a folder. Judges are given that folder and the one of the straight run."""

    name: str
    command: Callable[[Path, Path], list[str]]
    """(inputs, folder) -> arguments of Python"""
    torn: Judge
    """faults right after a kill"""
    wrong: Judge
    """faults at the end"""
    done: Callable[[Path], bool] = lambda folder: False
    """whether nothing is left to do, where the same command would then be refused"""
    kinds: tuple[str, ...] = ANY
    straight: list[str] = field(default_factory=list)
    """further arguments of the run that is compared with"""
    begin: Callable[[Path, Path], object] = lambda inputs, folder: None
    """(inputs, folder): what must lie there before"""
    ended: Callable[[Path], list[str]] = lambda folder: []
    """faults after an orderly end"""
    state: Callable[[Path], object] = lambda folder: None
    """what a start that came to work has changed, and `ended` is about"""
    statuses: bool = True
    """whether its exit status says how it ended; Paddle's launcher has its own"""
    forked: bool = False
    """whether it is a verb of `index`, which runs in small steps as a fork (`forked.py`)"""

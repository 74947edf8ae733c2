"""What a killed process leaves beside the file or folder it was writing: its names, and how the next run clears it.

A name ends in the process, and in the place where that number means something: the host and its process namespace. What
a process that runs may still write is never touched; a number of another place says nothing here, so there a day
without a change decides.
"""

import contextlib
import os
import re
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..messages import plain

TEMPORARY, ASIDE = ".tmp-", ".replaced-"
"""Endings, before the process: of what is being written, and of an older version that steps aside for a new one."""
UNCHECKED, JOINED = ".unchecked", ".join"
"""Endings of what is written on the way to a target, before its own temporary name."""
ENDING = re.compile(r"(?P<kind>\.tmp-|\.replaced-)(?P<process>\d+)(?:-(?P<place>\w+))?")
ANONYMOUS = re.sub(r"\?P<\w+>", "?:", ENDING.pattern)
PATIENCE = 24 * 3600.0
"""Seconds without a change after which the process of another place is taken for dead."""
SLACK = 60.0
"""Seconds by which the clocks of processes and files may differ."""


def place() -> str:
    """Where a process number is unique: the host's name and, where the system tells, the process namespace."""
    host = re.sub(r"\W", "_", os.uname().nodename)[:24]
    with contextlib.suppress(OSError):
        return f"{host}_{os.stat('/proc/self/ns/pid').st_ino}"
    return host


def temporary_name(path: str | os.PathLike) -> Path:
    """A sibling of `path` that no other process writes."""
    return named(path, TEMPORARY)


def aside_name(path: str | os.PathLike) -> Path:
    """A sibling of `path` for its older version while a new one takes the place."""
    return named(path, ASIDE)


def named(path: str | os.PathLike, kind: str) -> Path:
    path = Path(path)
    return path.with_name(f"{path.name}{kind}{os.getpid()}-{place()}")


def clear_leftovers(path: str | os.PathLike, alone: bool = False) -> list[str]:
    """Remove what killed writers of `path` left beside it; returns a sentence about each.

    A version that stepped aside goes back into its place where that is empty: it is the last good one. alone: the
    caller holds the lock that writers of this place have, which the system frees before all of a killed one has gone.
    """
    path = Path(path)
    own = re.compile(re.escape(path.name) + rf"(?:{re.escape(UNCHECKED)}|{re.escape(JOINED)})?(?:{ANONYMOUS})+")
    return clear(path.parent, own, alone)


def clear_leftovers_in(folder: str | os.PathLike, names: str = ".+?") -> list[str]:
    """`clear_leftovers` of all whose names fit a regular expression, in a folder of one's own, as that of a run."""
    return clear(Path(folder), re.compile(rf"{names}(?:{ANONYMOUS})+"))


@contextmanager
def scratch_folder(name: str) -> Iterator[Path]:
    """A folder among the system's temporary files, gone when the block ends, or at the next such one after a kill."""
    made = new_scratch_folder(name)
    try:
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def new_scratch_folder(name: str, number: int = 0) -> Path:
    """A new folder among the system's temporary files, for its maker to remove; those of killed ones are cleared.
    number: tells several of one process apart."""
    target = Path(tempfile.gettempdir(), f"ernie-vil2-{name}")
    made = temporary_name(f"{target}{TEMPORARY}{number}" if number else target)
    for told in clear_leftovers(target):
        print(f"note: {plain(told)}", file=sys.stderr)
    made.mkdir(mode=0o700)
    return made


def clear(folder: Path, names: re.Pattern, alone: bool = False) -> list[str]:
    """Clear what has one of the names, the newest first, so that of several older versions the last one comes back."""
    try:
        found = [folder / entry for entry in os.listdir(folder) if names.fullmatch(entry)]
    except OSError:
        return []
    told = []
    for leftover in sorted(found, key=last_change, reverse=True):
        ending = list(ENDING.finditer(leftover.name))[-1]
        if alone and ending["place"] == place() or is_dead(leftover, int(ending["process"]), ending["place"]):
            target = folder / leftover.name[: ending.start()]
            with contextlib.suppress(OSError):  # another process may be clearing too
                if ending["kind"] == ASIDE and not os.path.lexists(target):
                    os.rename(leftover, target)
                    told.append(f"put back {target}, which a process that was killed had set aside as {leftover.name}")
                    continue
                shutil.rmtree(leftover) if leftover.is_dir() and not leftover.is_symlink() else leftover.unlink()
                told.append(f"removed {leftover}, left by a process that was killed")
    return told


def last_change(path: Path) -> float:
    """When a file or folder, or something in it, last changed or got its name; 0 for what has gone."""
    latest = 0.0
    for one in [path, *(path.rglob("*") if path.is_dir() and not path.is_symlink() else ())]:
        with contextlib.suppress(OSError):
            latest = max(latest, os.lstat(one).st_ctime)
    return latest


def is_dead(leftover: Path, process: int, where: str | None) -> bool:
    """Whether nobody can be writing a leftover any more. A name without a place is taken for one of this place."""
    if where not in (None, place()):
        return time.time() - last_change(leftover) > PATIENCE
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return True
    except (OSError, OverflowError):
        pass
    try:
        state, *numbers = Path(f"/proc/{process}/stat").read_text(errors="replace").rpartition(")")[2].split()
        ticks, system = int(numbers[18]), Path("/proc/stat").read_text()
        began = int(re.search(r"btime (\d+)", system)[1]) + ticks / os.sysconf("SC_CLK_TCK")
        program, own = (os.path.basename(os.readlink(f"/proc/{one}/exe")) for one in (process, "self"))
    except (OSError, ValueError, IndexError, TypeError):
        return False
    another = program != own and not program.startswith("python")
    return state in "ZX" or another or began > last_change(leftover) + SLACK

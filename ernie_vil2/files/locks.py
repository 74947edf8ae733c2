"""Locks between processes and threads: on a file that stays, freed by whatever ends their holder, SIGKILL included."""

import contextlib
import fcntl
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

_held: set[int] = set()
"""Descriptors of this process whose copies a forked child must not keep: a lock lasts as long as any of them"""
_opening = threading.Lock()

HELD = "/proc/locks"
"""Where Linux lists all locks"""


def _in_child() -> None:
    for descriptor in _held:
        os.close(descriptor)
    _held.clear()
    _opening.release()


os.register_at_fork(before=_opening.acquire, after_in_parent=_opening.release, after_in_child=_in_child)


def is_held(path: str | os.PathLike) -> bool:
    """Whether a process of this machine has the lock on a file, as far as the system tells; it is never taken here."""
    try:
        node = os.stat(path).st_ino
        with open(HELD, encoding="ascii") as held:
            return any(is_of(line, node) for line in held)
    except (OSError, ValueError):
        return False


def is_of(line: str, node: int) -> bool:
    """Whether a line of the system's list is of an exclusive lock on the file of this number that somebody has.

    The device beside it is not always the one that `stat` names."""
    match line.split():
        case [_, "FLOCK", _, "WRITE", _, place, *_]:
            return place.rpartition(":")[2] == str(node)
    return False


@contextmanager
def exclusive(path: str | os.PathLike, waiting: Callable[[], object]) -> Iterator[None]:
    """While it is entered, nobody else who asks has the lock on the file `path`, which is made where it is missing.

    waiting: called once when another thread or process has it. Raises OSError where the file cannot be made, is a
    link, or lies where there are no locks. A process that is forked inside does not have the lock.
    """
    with _opening:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o666)
        _held.add(descriptor)
    owner = os.getpid()
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            waiting()
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        if os.getpid() == owner:
            with _opening:
                _held.discard(descriptor)
                with contextlib.suppress(OSError):
                    fcntl.flock(descriptor, fcntl.LOCK_UN)  # though a process that C code forked has a copy
                os.close(descriptor)

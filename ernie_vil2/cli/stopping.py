"""A polite end of commands: after Ctrl-C or SIGTERM a line says what is left, and with which command to go on."""

import shlex
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ..stop import Stopped

KEPT = "what is done is kept; go on with: "
NOTHING = "nothing is left half-written; begin again with: "
FINALIZER = weakref.finalize.__call__.__code__
SOON = 0.01
"""Seconds until a signal comes again that came while an object was being finalized"""


def command() -> str:
    """The command that runs, for a person to repeat."""
    program = sys.argv[0]
    return shlex.join([*(["python", program] if program.endswith(".py") else ["ernie-vil2"]), *sys.argv[1:]])


def end(number: int, frame: FrameType | None) -> None:
    """Answer a SIGTERM as Ctrl-C, once: the next one kills."""
    while frame is not None:
        if frame.f_code is FINALIZER:  # Python drops what is raised there
            threading.Timer(SOON, signal.raise_signal, (number,)).start()
            return
        frame = frame.f_back
    signal.signal(number, signal.SIG_DFL)
    raise Stopped(number)


@contextmanager
def stoppable(kept: bool = False) -> Iterator[None]:
    """While it is entered, SIGTERM ends a command as Ctrl-C does, so that it can clear its temporary files away.

    kept: whether the same command goes on where it was stopped. Training is not run in this: it saves first.
    """
    here = threading.current_thread() is threading.main_thread() and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    if here:
        signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt as stop:
        told = (KEPT if kept else NOTHING) + command()
        raise Stopped(getattr(stop, "number", signal.SIGINT), getattr(stop, "told", "") or told) from None
    finally:
        if here:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)

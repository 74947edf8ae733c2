"""What a worker process of the loader does: chunks in, chunks out, until its parent ends."""

import contextlib
import ctypes
import os
import signal
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from ...errors import DataError, UserError
from ...plugins import Carried
from .shared_memory import PixelRing, SharedBytes

QUIET = {signal.SIGINT, signal.SIGTERM}


def work(
    number: int,
    parent: int,
    pipe: Connection,
    plugins: Carried,
    make: Callable[..., Any],
    ring: PixelRing | None,
    progress: SharedBytes,
) -> None:
    """A worker process: chunks in, chunks out, until its parent ends; plugins: what let `make` be unpickled.

    Ctrl-C and SIGTERM reach a whole group of processes; the trainer answers them with a checkpoint, and the workers go
    on until it ends them. They die with it, however it dies.
    """
    for name in QUIET:
        signal.signal(name, signal.SIG_IGN)
    if sys.platform.startswith("linux"):
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    if os.getppid() != parent:
        return
    import cv2

    cv2.setNumThreads(1)
    current = progress.array.view(np.int64)[number : number + 1]
    with contextlib.suppress(EOFError, BrokenPipeError, ConnectionResetError):
        pipe.send(None)
        while True:
            ticket, slot, offset, epoch, positions = pipe.recv()
            into = ring.slot(slot) if ring is not None else None
            pipe.send((ticket, *attempt(make, epoch, positions, into, offset, current)))
            current[0] = -1


def attempt(*job: Any) -> tuple[Any, DataError | str | None]:
    """(result, None), or (None, error): a UserError, or the traceback of anything else as text."""
    make, *rest = job
    try:
        return make(*rest), None
    except UserError as error:
        return None, DataError(str(error))
    except Exception:
        return None, traceback.format_exc()

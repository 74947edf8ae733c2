"""Memory that the loader's processes share: pixels are written once by a worker and read once by the trainer.

The files behind it never have a name, so a process that is killed leaves nothing in /dev/shm. Their pages are reserved
when they are made: a file system that is too small says so then, and not by a bus error in the middle of a run.
"""

import collections
import math
import mmap
import os
import tempfile
import weakref
from collections.abc import Mapping
from multiprocessing import reduction

import numpy as np
import numpy.typing as npt

FOLDER = "/dev/shm"
SHARE = 0.5
"""Of what is free in FOLDER, as much as one loader takes; other ranks of the machine need some too."""


class SharedBytes:
    """`size` bytes that a process and those it starts with this as an argument all see; OSError when they do not fit.

    `array` is uint8 [size]. `release()`, once the processes are started, closes the file and keeps the memory.
    """

    def __init__(self, size: int, folder: str | os.PathLike | None = None):
        self.size = size
        with tempfile.TemporaryFile(dir=folder) as file:  # unlinked before it is ever written
            os.posix_fallocate(file.fileno(), 0, size)
            self._map(os.dup(file.fileno()))

    def _map(self, descriptor):
        self.descriptor = descriptor
        self.map = mmap.mmap(descriptor, self.size)
        self.array = np.frombuffer(self.map, np.uint8)

    def release(self) -> None:
        """Close the file: it can be handed to no further process, and its memory goes with the last array."""
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None

    def __getstate__(self):
        return self.size, reduction.DupFd(self.descriptor)

    def __setstate__(self, state):
        self.size, descriptor = state
        self._map(descriptor.detach())
        self.release()


class PixelRing:
    """Room for the pixels of several batches, of type `dtype`. `free` holds the numbers of the slots that nobody uses."""

    def __init__(
        self,
        shapes: Mapping[str, tuple[int, ...]],
        slots: int,
        folder: str | os.PathLike = FOLDER,
        dtype: npt.DTypeLike = np.uint8,
    ):
        self.shapes, self.slots, self.free = shapes, slots, collections.deque(range(slots))
        self.dtype = np.dtype(dtype)
        self.size = slot_bytes(shapes, dtype)
        self.memory = SharedBytes(slots * self.size, folder)

    def slot(self, number: int) -> dict[str, np.ndarray]:
        """{view: array of its shape}, to be written or read while the slot is not free."""
        return self._cut(self.memory.array[number * self.size : (number + 1) * self.size])

    def lend(self, number: int) -> dict[str, np.ndarray]:
        """The arrays of `slot`, whose number is in `free` again when the last of them, and of views on them, is gone.

        Without another free slot they are copies: work goes on, whatever the borrower keeps.
        """
        if not self.free:
            self.free.append(number)
            return {view: pixels.copy() for view, pixels in self.slot(number).items()}
        block = memoryview(self.memory.map)[number * self.size : (number + 1) * self.size]
        lent = np.frombuffer(block, np.uint8)  # views of it have it as their base, so it goes last
        weakref.finalize(lent, self.free.append, number).atexit = False
        return self._cut(lent)

    def _cut(self, memory):
        place, found, memory = 0, {}, memory.view(self.dtype)
        for view, shape in self.shapes.items():
            end = place + math.prod(shape)
            found[view] = memory[place:end].reshape(shape)
            place = end
        return found


def slot_bytes(shapes: Mapping[str, tuple[int, ...]], dtype: npt.DTypeLike = np.uint8) -> int:
    """Bytes of one batch of {view: shape}."""
    return sum(math.prod(shape) for shape in shapes.values()) * np.dtype(dtype).itemsize


def open_ring(
    shapes: Mapping[str, tuple[int, ...]],
    wanted: int,
    limit: float | None = None,
    dtype: npt.DTypeLike = np.uint8,
) -> tuple[PixelRing | None, str]:
    """(PixelRing of 1 to `wanted` slots or None, a sentence why there is none or "").

    limit: most bytes to take; None for a share of what is free in /dev/shm.
    """
    size = slot_bytes(shapes, dtype)
    if not size:
        return None, ""
    try:
        room = SHARE * free_bytes(FOLDER) if limit is None else limit
        slots = min(wanted, int(room // size))
        if slots:
            return PixelRing(shapes, slots, dtype=dtype), ""
        reason = f"a batch has {size / 2**20:.1f} MB of pixels and {FOLDER} has {room / 2**20:.1f} MB for them"
    except OSError as error:
        reason = f"{FOLDER} cannot be used ({error.strerror or error})"
    return None, f"{reason}, so pixels travel through pipes, which is slower; enlarge it (docker run --shm-size=4g)"


def free_bytes(folder: str | os.PathLike) -> int:
    """Bytes that may still be written into the folder's file system."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize


def small_block(size: int) -> SharedBytes:
    """SharedBytes of a few bytes, in /dev/shm or else in the folder for temporary files."""
    try:
        return SharedBytes(size, FOLDER)
    except OSError:
        return SharedBytes(size)

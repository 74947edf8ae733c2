"""Files of vectors in half precision, read by position: what is read does not stay in the memory of the process."""

import os
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np

VALUE = np.dtype("<f2")


class VectorsFile:
    """A file of [N, width] little-endian float16 without a header, which other processes may delete meanwhile."""

    def __init__(self, path: Path, rows: int, width: int) -> None:
        self.rows, self.width = rows, width
        self.stride = width * VALUE.itemsize
        self.descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        weakref.finalize(self, os.close, self.descriptor)

    def read(self, first: int, out: np.ndarray) -> None:
        """Fill `out`, float16 [n, width], with the rows from `first` on; OSError where the file ends before."""
        left = memoryview(out).cast("B")
        place = first * self.stride
        while left:
            got = os.preadv(self.descriptor, [left], place)
            if not got:
                raise OSError("a file of vectors is shorter than its index says")
            left, place = left[got:], place + got

    def take(self, rows: np.ndarray, out: np.ndarray) -> None:
        """Fill `out`, float16 [n, width], with rows given in ascending order; neighbours are read at once."""
        if not len(rows):
            return
        starts = np.flatnonzero(np.diff(rows, prepend=rows[0] - 2) != 1)
        stops, stride, data = [*starts[1:].tolist(), len(rows)], self.stride, memoryview(out).cast("B")
        for start, stop, first in zip(starts.tolist(), stops, rows[starts].tolist(), strict=True):
            # a search takes hundreds of single rows, so the usual case is kept short
            got = os.preadv(self.descriptor, [data[start * stride : stop * stride]], first * stride)
            if got != (stop - start) * stride:
                self.read(first, out[start:stop])

    def blocks(self, rows: int) -> Iterator[tuple[int, np.ndarray]]:
        """(number of the first row, float16 [n, width]) of all rows in order, at most `rows` of them at once."""
        for first in range(0, self.rows, rows):
            block = np.empty((min(rows, self.rows - first), self.width), VALUE)
            self.read(first, block)
            yield first, block

"""Random access to the lines of a text file of any size: one fast scan, then 8 bytes of memory a line."""

import os
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from ...errors import DataError, advice, exhausted
from ...files.names import name_text
from ...files.text import MARK
from .base import RowError

MAX_LINE_BYTES = 64 << 20
CHUNK_BYTES = 4 << 20
BLANK_BYTES = 16  # a line of blanks longer than this is reported as a bad row instead of being passed over
FOREIGN = {
    b"\xff\xfe": "is UTF-16 text; save it as UTF-8",
    b"\xfe\xff": "is UTF-16 text; save it as UTF-8",
    b"\x1f\x8b": "is gzip-compressed; decompress it with gunzip",
    b"PK\x03\x04": "is a ZIP or Excel file; export it as UTF-8 text",
    b"\x28\xb5\x2f\xfd": "is zstd-compressed; decompress it with zstd -d",
}


class LineFile:
    """The rows of a file: its lines but for blank ones (and for those that `skip` takes out).

    Every read opens the file anew and checks that it is still the file that was scanned, so an object can be shared by
    threads, inherited by forks, pickled, and kept for thousands of shards without holding descriptors.
    """

    def __init__(self, path: str | os.PathLike, max_line_bytes: int = MAX_LINE_BYTES):
        self.path = Path(path)
        self.max_line_bytes = max_line_bytes
        try:
            with open(self.path, "rb", buffering=0) as handle:
                self._stamp = _stamp(handle.fileno())
                self._starts, short = _scan(handle, self.path)
                blank = [line for line in short if not self._bytes(handle.fileno(), line, line + 1).strip(b" \r\n")]
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be read ({error.strerror or error}); {advice(error, 'give a readable file')}"
            ) from None
        self.skip(blank)
        if not len(self):
            raise DataError(f"{self.path}: the file is empty; write at least one row into it")

    def __len__(self):
        return self.count - len(self._skipped)

    @property
    def count(self) -> int:
        """Number of physical lines, blank ones included."""
        return len(self._starts) - 1

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return int(self._stamp[0])

    def skip(self, lines: Sequence[int]) -> None:
        """Take physical lines (0-based) out of the rows, in addition to those taken out before."""
        self._skipped = np.union1d(
            getattr(self, "_skipped", np.zeros(0, np.int64)), np.asarray(lines, np.int64)
        ).astype(np.int64)
        self._before = self._skipped - np.arange(len(self._skipped))

    def line(self, row: int) -> int:
        """0-based physical line at which a row begins; for row == len, the number of lines."""
        return self.count if row == len(self) else int(row + np.searchsorted(self._before, row, side="right"))

    def where(self, row: int) -> str:
        """`file:line` of a row, counted from 1."""
        return f"{name_text(self.path)}:{self.line(row) + 1}"

    def read(self, row: int, through: bool = False, head: int | None = None) -> bytes:
        """Bytes of a row without its line end: one line, or `through` to the next row; at most `head` bytes."""
        first = self.line(row)
        last = self.line(row + 1) if through else first + 1
        length = int(self._starts[last] - self._starts[first])
        if head is None and length > self.max_line_bytes:
            raise RowError(
                self.where(row),
                "line too long",
                f"the line has {length:,} bytes, over the limit of {self.max_line_bytes:,}",
                "shrink its image, or raise max_line_bytes",
            )
        try:
            descriptor = os.open(self.path, os.O_RDONLY)
            try:
                if _stamp(descriptor) != self._stamp:
                    raise DataError(f"{self.path}: the file has changed since it was opened; open the source again")
                raw = self._bytes(descriptor, first, last, head)
            finally:
                os.close(descriptor)
        except OSError as error:
            if exhausted(error):
                raise
            raise DataError(
                f"{self.where(row)}: cannot be read ({error.strerror or error}); "
                + advice(error, "put the file back and open the source again")
            ) from None
        raw = raw.rstrip(b"\r\n") if through else raw.removesuffix(b"\n").removesuffix(b"\r")
        return raw.removeprefix(MARK)

    def heads(self, count: int) -> Iterator[bytes]:
        """Yield the first `count` bytes of each row, through one descriptor."""
        with open(self.path, "rb", buffering=0) as handle:
            for row in range(len(self)):
                line = self.line(row)
                yield self._bytes(handle.fileno(), line, line + 1, count).removeprefix(MARK)

    def walk(self, first: int = 0) -> Iterator[tuple[int, Callable[[int], bytes]]]:
        """One pass: yield (physical line, function giving the bytes of `span` lines from it, cut above the limit)."""
        with open(self.path, "rb") as handle:
            for line in range(first, self.count):

                def fetch(span, line=line):
                    handle.seek(self._starts[line])
                    length = int(self._starts[min(line + span, self.count)] - self._starts[line])
                    return handle.read(min(length, self.max_line_bytes + 1)).removeprefix(MARK)

                yield line, fetch

    def _bytes(self, descriptor, first, last, head=None):
        start, length = int(self._starts[first]), int(self._starts[last] - self._starts[first])
        length = length if head is None else min(length, head)
        parts = []
        while length > 0:
            part = os.pread(descriptor, length, start)
            if not part:
                break
            parts.append(part)
            start, length = start + len(part), length - len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)


def _stamp(descriptor):
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


def _scan(handle, path):
    """Offsets int64 [lines + 1] at which lines begin, and the numbers of the lines short enough to be blank."""
    buffer = bytearray(CHUNK_BYTES)
    starts, short, position = array("q", [0]), array("q"), 0
    while filled := handle.readinto(buffer):
        if not position:
            head = bytes(buffer[:4])
            for magic, meaning in FOREIGN.items():
                if head.startswith(magic):
                    raise DataError(f"{path}: the file {meaning}")
            starts[0] = len(MARK) if head.startswith(MARK) else 0
            end = 13 if 10 not in buffer[:filled] and 13 in buffer[: filled - 1] else 10  # lone CR: an old table
        following = np.flatnonzero(np.frombuffer(buffer, np.uint8, filled) == end) + (position + 1)
        lengths = np.diff(following, prepend=starts[-1])
        short.frombytes((np.flatnonzero(lengths <= BLANK_BYTES) + len(starts) - 1).astype(np.int64).tobytes())
        starts.frombytes(following.astype(np.int64).tobytes())
        position += filled
    if starts[-1] < position:
        if position - starts[-1] <= BLANK_BYTES:
            short.append(len(starts) - 1)
        starts.append(position)
    return np.frombuffer(starts, np.int64), short

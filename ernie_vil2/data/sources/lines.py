"""Random access to the lines of a text file of any size: one fast scan, then 8 bytes of memory a line."""

import codecs
import os
import stat
from array import array
from collections.abc import Callable, Iterator, Sequence
from io import FileIO
from pathlib import Path

import numpy as np

from ...errors import DataError, advice, exhausted
from ...files.encodings import NAMES, UTF8, Evidence, codec_of, wide_codec
from ...files.paths.names import name_text
from ...files.stand_ins import stand_in
from ...files.text import MARK
from .base import RowError

MAX_LINE_BYTES = 64 << 20
CHUNK_BYTES = 4 << 20
HEAD_BYTES = 4096
STRETCH_BYTES, BLANKS = 1 << 20, (*b" \r\n", 0xFEFF)
BLANK_BYTES = 16  # a line of blanks longer than this is reported as a bad row instead of being passed over
FOREIGN = {
    codecs.BOM_UTF32_LE: "is UTF-32 text; save it as UTF-8",
    codecs.BOM_UTF32_BE: "is UTF-32 text; save it as UTF-8",
    b"\x1f\x8b": "is gzip-compressed; decompress it with gunzip",
    b"PK\x03\x04": "is a ZIP or Excel file; export it as UTF-8 text",
    b"\x28\xb5\x2f\xfd": "is zstd-compressed; decompress it with zstd -d",
}


class LineFile:
    """The rows of a file: its lines but for blank ones (and for those that `skip` takes out), in UTF-8.

    encoding: that of the file; without one UTF-8, UTF-16 by its mark, or GBK where all of the file is surely that.
    any_end: a lone CR ends a line too; without it only where there are more of them than of LF. Every read opens the
    file anew and checks that it is still the file that was scanned, so an object can be shared by threads, inherited
    by forks, pickled, and kept for thousands of shards without holding descriptors.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        max_line_bytes: int = MAX_LINE_BYTES,
        encoding: str = "",
        any_end: bool = False,
    ):
        self.path = Path(path)
        self.max_line_bytes = max_line_bytes
        self.codec, self.guessed = codec_of(encoding), False
        try:
            if not stat.S_ISREG(os.stat(self.path).st_mode) and not self.path.is_dir():
                raise DataError(f"{self.path}: this is no plain file, whose lines could be read again; give a file")
            with open(self.path, "rb", buffering=0) as handle:
                self._stamp = _stamp(handle.fileno())
                scan = Scan(handle, self.path, self.codec, any_end)
                self.guessed, self.codec, self._starts = not self.codec, scan.codec, scan.starts
                blank = self._blank(handle.fileno(), np.frombuffer(scan.short, np.int64))
        except OSError as error:
            raise DataError(
                f"{self.path}: cannot be read ({error.strerror or error}); {advice(error, 'give a readable file')}"
            ) from None
        self.skip(blank)
        if not len(self):
            raise DataError(f"{self.path}: the file is empty; write at least one row into it")

    @property
    def notes(self) -> list[str]:
        """A sentence on the encoding, where nobody named it and it is not UTF-8."""
        if not self.guessed or self.codec == UTF8:
            return []
        return [f"{self.path}: read as {NAMES[self.codec]}, by its bytes; if words look wrong, name its encoding"]

    def __len__(self):
        return self.count - len(self.skipped)

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
        self.skipped = np.union1d(getattr(self, "skipped", np.zeros(0, np.int64)), np.asarray(lines, np.int64)).astype(
            np.int64
        )
        self._before = self.skipped - np.arange(len(self.skipped))

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
        raw = self._utf8(raw, first, "replace" if head else "strict", head is None)
        return raw.rstrip(b"\r\n") if through else raw.removesuffix(b"\n").removesuffix(b"\r")

    def heads(self, count: int) -> Iterator[bytes]:
        """Yield the first `count` bytes of each row, through one descriptor."""
        with open(self.path, "rb", buffering=0) as handle:
            for row in range(len(self)):
                line = self.line(row)
                yield self._utf8(self._bytes(handle.fileno(), line, line + 1, count), line, "replace", False)

    def walk(self, first: int = 0, errors: str = "strict") -> Iterator[tuple[int, Callable[..., bytes]]]:
        """One pass: yield (physical line, function (span, ahead=0) giving the bytes of `span` lines from it, or from a
        line `ahead` of it, cut above the limit). errors: "replace" takes what is no text in the file's encoding."""
        with open(self.path, "rb") as handle:
            for line in range(first, self.count):

                def fetch(span, ahead=0, line=line):
                    start = int(self._starts[min(line + ahead, self.count)])
                    handle.seek(start)
                    length = int(self._starts[min(line + ahead + span, self.count)]) - start
                    raw = handle.read(min(length, self.max_line_bytes + 1))
                    return self._utf8(raw, line + ahead, errors, len(raw) == length)

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

    def _blank(self, descriptor, short):
        """Those of the `short` lines that hold blanks alone, by stretches of the file."""
        kind = np.dtype({"utf-16-le": "<u2", "utf-16-be": ">u2"}.get(self.codec, np.uint8))
        begins, ends, found = self._starts[short], self._starts[short + 1], [short[:0]]
        apart = (begins[1:] - ends[:-1] > HEAD_BYTES) | (np.diff(begins // STRETCH_BYTES) > 0)
        for part in np.split(np.arange(len(short)), np.flatnonzero(apart) + 1) if len(short) else ():
            raw = self._bytes(descriptor, short[part[0]], short[part[-1]] + 1)
            raw = raw.replace(MARK, b"   ") if self.codec == UTF8 else raw
            units = np.frombuffer(raw, kind, len(raw) // kind.itemsize)
            before = np.concatenate([[0], np.cumsum(~np.isin(units, BLANKS))])
            places = ((edges[part] - begins[part[0]]) // kind.itemsize for edges in (begins, ends))
            low, high = (before[np.minimum(place, len(units))] for place in places)
            found.append(short[part][(low == high) & ((ends - begins)[part] % kind.itemsize == 0)])
        return np.concatenate(found)

    def _utf8(self, raw, line, errors="strict", whole=True):
        """Bytes of the file in UTF-8, whatever the file's encoding; RowError where they are not in it."""
        if self.codec == UTF8:
            return raw.removeprefix(MARK)
        try:
            text = codecs.getincrementaldecoder(self.codec)(errors).decode(raw, whole)
        except UnicodeDecodeError as error:
            raise RowError(
                f"{self.path}:{line + 1}",
                "bad encoding",
                f"the line is not {NAMES[self.codec]} (byte 0x{raw[error.start]:02x} at position {error.start + 1})",
                "correct it, save the file as UTF-8, or name another `encoding`",
            ) from None
        return text.encode("utf-8", "replace").removeprefix(MARK)


def _stamp(descriptor):
    status = os.fstat(descriptor)
    return status.st_size, status.st_mtime_ns


class Scan:
    """One pass over a file: its `codec`, int64 offsets [lines + 1] at which lines begin as `starts`, and the numbers of
    the lines that are `short` enough to be blank."""

    def __init__(self, handle: FileIO, path: Path, codec: str, any_end: bool):
        self.path, self.codec, self.any_end = path, codec, any_end
        self.starts, self.short = array("q", [0]), array("q")
        evidence, position, buffer = Evidence(), 0, bytearray(CHUNK_BYTES)
        held = False  # whether the last chunk ended in CR, of which only the next one tells whether LF follows
        while filled := handle.readinto(buffer):
            if not position:
                self._begin(bytes(buffer[: min(filled, HEAD_BYTES)]))
                kind = {"utf-16-le": "<u2", "utf-16-be": ">u2"}.get(self.codec, np.uint8)
                unit = np.dtype(kind).itemsize
            if not self.codec and not evidence.full:
                evidence.see(memoryview(buffer)[:filled], not position, filled < CHUNK_BYTES)
            units = np.frombuffer(buffer, kind, filled // unit)
            returns = buffer.find(b"\r", 0, filled) >= 0
            if not position and returns:
                self.any_end |= bool(lone(units).sum() > (units == 10).sum())
            ends = units == 10
            if held and len(units) and units[0] != 10:
                self._append(np.array([position]))
            held = False
            if self.any_end and returns:
                ends |= lone(units)
                held = bool(len(units) and units[-1] == 13)
            self._append((np.flatnonzero(ends) + 1) * unit + position)
            position += filled
        self.codec = self.codec or evidence.codec
        if self.starts[-1] < position:
            self._append(np.array([position]))
        self.starts = np.frombuffer(self.starts, np.int64)

    def _begin(self, head):
        if meaning := stand_in(head) or next((FOREIGN[magic] for magic in FOREIGN if head.startswith(magic)), None):
            raise DataError(f"{self.path}: the file {meaning}")
        wide = wide_codec(head)
        if self.codec.startswith("utf-16") and head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            self.codec = wide
        self.codec = self.codec or wide or ""
        marks = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE) if self.codec.startswith("utf-16") else (MARK,)
        self.starts[0] = next((len(mark) for mark in marks if head.startswith(mark)), 0)

    def _append(self, following):
        lengths = np.diff(following, prepend=self.starts[-1])
        short = np.flatnonzero(lengths <= BLANK_BYTES) + len(self.starts) - 1
        self.short.frombytes(short.astype(np.int64).tobytes())
        self.starts.frombytes(following.astype(np.int64).tobytes())


def lone(units: np.ndarray) -> np.ndarray:
    """bool [n]: where CR stands with another character than LF behind it."""
    found = units == 13
    found[:-1] &= units[1:] != 10
    found[-1:] = False
    return found

"""Where the samples of a tar lie: one pass over its headers, 36 bytes a sample, kept in a file for the next time.

The file is `<tar>.index` beside the tar, or in the user's cache folder where that cannot be written. It counts while
size and time of the tar are those that it names. It is never believed beyond that: the header of a member is read and
checked again, from the tar, whenever the member is.
"""

import contextlib
import json
import os
import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from ....errors import DataError, advice, exhausted
from ....files.atomic import atomic_file
from ....files.paths.place import user_cache_folder
from ....files.stand_ins import stand_in
from ..base import digest
from ..lines import FOREIGN
from ..stem_parts import IMAGE, LIMITS, is_part
from .descriptors import OPEN
from .headers import BLOCK, ZEROS, Cut, Member, is_header, member_at, shown
from .walk import PARTS, ROW, collect, group

MAGIC = b"tarindx2"
MAX_HEAD = 1 << 20
MAX_SHOWN = 400  # letters of a text in an index: no finding and no cut of ours comes near
SMALL_HEADERS = 4096  # as much as the headers of one member take, but for extraordinary ones
PACKED_ROW = struct.Struct("<3q3I")


@dataclass
class TarIndex:
    """What is known of one tar.

    stamp: its size and time; count: samples with an image and a caption; findings: {what was left out: [how many,
    first names]}; cut: a sentence where the tar is damaged or ends early; rows: ROW [count], None while they are in
    the file `cache`.
    """

    path: str
    stamp: tuple
    count: int
    findings: dict = field(default_factory=dict)
    cut: str | None = None
    rows: np.ndarray | None = None
    cache: Path | None = None
    cache_stamp: tuple | None = None
    offset: int = 0

    def row(self, number: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """(starts, spans) of the parts of a sample."""
        raw = None
        if self.rows is None:
            try:
                raw = OPEN.get(self.cache, self.cache_stamp).read(self.offset + number * ROW.itemsize, ROW.itemsize)
            except DataError:  # the file went away, or another process wrote it anew
                self.rows = scan(self.path).rows
        values = PACKED_ROW.unpack(self.rows[number].tobytes() if raw is None else raw)
        return values[: len(PARTS)], values[len(PARTS) :]

    def parts(self, number: int, content: bool = True) -> list[tuple[Member, bytes] | None]:
        """(Member, bytes), or None, of each part of a sample; without `content` the image's bytes stop at its headers.

        Raises DataError when the tar is not what it was.
        """
        file = OPEN.get(self.path, self.stamp)
        return [
            self._part(file, start, span, part, content or part != IMAGE) if start >= 0 else None
            for part, start, span in zip(PARTS, *self.row(number), strict=True)
        ]

    def _part(self, file, start, span, part, content):
        member = None
        for most in (2 * LIMITS[part],) if content else (SMALL_HEADERS, 2 * LIMITS[part]):
            raw = file.read(start, min(span, most))
            with contextlib.suppress(Cut):
                member = member_at(lambda offset, count, raw=raw: raw[offset : offset + count], 0, span)
                break
        if member is None or member.fault or member.size > LIMITS[part] or not is_part(member.suffix, part):
            raise DataError(
                f"{self.path}: byte {start:,} is not the member that the index names; delete {self.cache or 'it'} and "
                "open the source again"
            )
        return member, raw[member.data : member.data + member.size]


def open_index(path: str | os.PathLike) -> TarIndex:
    """The TarIndex of a tar, from the file that keeps it where there is one. Raises DataError for what is no tar."""
    path = os.fspath(path)
    try:
        status = os.stat(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); {advice(error, 'give a readable tar')}"
        ) from None
    stamp = status.st_size, status.st_mtime_ns
    with OPEN.indexing:
        if found := kept_index(path, stamp):
            return found
        index = scan(path)
        for place in places(path):
            with contextlib.suppress(OSError):
                if is_text(place):
                    continue  # another program's index
                if place.parent != Path(path).parent:
                    place.parent.mkdir(parents=True, exist_ok=True)
                write_index(index, place)
                return read_index(place, path, stamp) or index
        return index


def kept_index(path: str, stamp: tuple[int, int]) -> TarIndex | None:
    """The TarIndex of a tar of that size and time, where a file keeps it."""
    return next(filter(None, (read_index(place, path, stamp) for place in places(path))), None)


def places(path: str) -> list[Path]:
    """Where the index of a tar is kept: beside it, else in the user's folder of what can be made anew (XDG)."""
    beside, cache = Path(f"{path}.index"), user_cache_folder()
    name = f"{digest(os.fsencode(os.path.realpath(path))):016x}.index"
    return [beside] if cache is None else [beside, cache / "tars" / name]


def is_text(place: Path) -> bool:
    """Whether there is a file without the zeros that an index has, which a damaged one still shows."""
    head = OPEN.opened(place).read(0, 64) if place.exists() else b""
    return bool(head) and b"\0" not in head


def write_index(index: TarIndex, place: Path) -> None:
    """Keep an index in a file; raises OSError where that cannot be."""
    content = {"stamp": index.stamp, "count": index.count, "findings": index.findings, "cut": index.cut}
    head = json.dumps(content).encode()
    with atomic_file(place) as handle:
        handle.write(MAGIC + struct.pack("<Q", len(head)) + head)
        handle.write(np.ascontiguousarray(index.rows).data)


def read_index(place: Path, path: str, stamp: tuple[int, int]) -> TarIndex | None:
    """The TarIndex in a file, its rows left there; None when it is missing, of another tar, or not whole."""
    try:
        file = OPEN.opened(place)
        magic, length = struct.unpack("<8sQ", file.read(0, 16))
        head = json.loads(file.read(16, length)) if magic == MAGIC and length < MAX_HEAD else {}
        offset, count = 16 + length, head["count"]
        findings = {
            shown(str(what), MAX_SHOWN): [int(found[0]), [shown(str(name)) for name in found[1]]]
            for what, found in head["findings"].items()
        }
        cut = None if head["cut"] is None else shown(head["cut"], MAX_SHOWN)
        cache_stamp = file.stamp()
        whole = count >= 0 and cache_stamp[0] == offset + count * ROW.itemsize and tuple(head["stamp"]) == stamp
    except (OSError, ArithmeticError, ValueError, LookupError, TypeError, AttributeError, struct.error, RecursionError):
        return None
    if not whole or type(count) is not int:
        return None
    return TarIndex(path, stamp, count, findings, cut, None, place, cache_stamp, offset)


def scan(path: str) -> TarIndex:
    """The TarIndex of a tar by one pass over its headers, with its rows in memory; DataError for what is no tar."""
    try:
        file = OPEN.opened(path)
        stamp = file.stamp()
        check_kind(path, file.read(0, BLOCK))
        parts, findings, cut = collect(file, stamp[0])
        if file.stamp() != stamp:
            raise DataError(f"{path}: the file is being written; open the source again when it is complete")
    except OSError as error:
        if exhausted(error):
            raise
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); {advice(error, 'give a readable tar')}"
        ) from None
    rows = group(*parts, file, stamp[0], findings)
    return TarIndex(path, stamp, len(rows), findings, cut, rows)


def check_kind(path: str, head: bytes) -> None:
    """DataError when a file begins as something else than a tar does."""
    if found := stand_in(head):
        raise DataError(f"{path}: the file {found}")
    for magic, meaning in FOREIGN.items():
        if head.startswith(magic):
            raise DataError(f"{path}: the file {meaning}; tars are read uncompressed, for random access")
    if len(head) == BLOCK and head != ZEROS and not is_header(head):
        raise DataError(f"{path}: the file does not begin as a tar does; give a tar, or take it out of the folder")

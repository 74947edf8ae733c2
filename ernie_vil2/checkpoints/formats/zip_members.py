"""Where the members of a zip archive lie, for archives that hold tensors as they are, as torch writes them.

Python's `zipfile` is not used: it reads a whole directory before anybody can look at its size, and it does not compare
a member's own header with the directory.
"""

import os
import struct
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

from ...errors import CheckpointError
from .lazy_tensors import printable

END, END64, LOCATOR64 = b"PK\x05\x06", b"PK\x06\x06", b"PK\x06\x07"
MAX_DIRECTORY = 8 << 20  # bytes; torch takes about 130 a tensor


class Member(NamedTuple):
    """`length` bytes at `offset` of the archive; `stored` unless they are compressed or encrypted."""

    header: int
    length: int
    crc32: int
    stored: bool


class Archive:
    """The directory of the zip archive in `handle` (binary, seekable); CheckpointError for one that is damaged."""

    def __init__(self, handle: BinaryIO, path: str | os.PathLike):
        self.handle, self.path = handle, path
        self.size = os.fstat(handle.fileno()).st_size
        try:
            self.start, entries = self.directory()
            self.members = dict(self.read_entries(entries))
        except (struct.error, IndexError, OverflowError):
            raise self.damaged("its directory is cut") from None

    def damaged(self, reason: str) -> CheckpointError:
        return CheckpointError(f"{self.path} is a damaged zip archive ({reason}); copy or download it again")

    def at(self, offset: int, length: int) -> bytes:
        """`length` bytes at `offset`."""
        if not 0 <= offset <= self.size - length:
            raise self.damaged("a part of it lies outside the file")
        self.handle.seek(offset)
        return self.handle.read(length)

    def directory(self) -> tuple[int, bytes]:
        """(offset of the directory, its bytes)."""
        tail = self.at(max(0, self.size - 65557), min(self.size, 65557))
        place = tail.rfind(END)
        if place < 0 or len(tail) != place + 22 + struct.unpack_from("<H", tail, place + 20)[0]:
            raise self.damaged("its end is missing, so it was not copied whole")
        length, offset = struct.unpack_from("<II", tail, place + 12)
        if tail[max(0, place - 20) : place].startswith(LOCATOR64):
            (position,) = struct.unpack_from("<Q", tail, place - 12)
            record = self.at(position, 56)
            if not record.startswith(END64):
                raise self.damaged("its directory is not where it says")
            length, offset = struct.unpack_from("<QQ", record, 40)
        if length > MAX_DIRECTORY:
            raise self.damaged(f"its directory takes {length:,} bytes")
        return offset, self.at(offset, length)

    def read_entries(self, data: bytes) -> Iterator[tuple[str, Member]]:
        """Yield (name, Member) of the directory's entries."""
        place, seen = 0, set()
        while place < len(data):
            if data[place : place + 4] != b"PK\x01\x02":
                raise self.damaged("its directory is not well formed")
            flags, method = struct.unpack_from("<HH", data, place + 8)
            crc32, packed, length, names, extras, comments = struct.unpack_from("<IIIHHH", data, place + 16)
            (header,) = struct.unpack_from("<I", data, place + 42)
            raw = data[place + 46 : place + 46 + names]
            name = raw.decode("utf-8", "backslashreplace")
            extra = data[place + 46 + names : place + 46 + names + extras]
            length, packed, header = large_sizes(extra, [length, packed, header])
            if name in seen:
                raise self.damaged(f"it holds {printable(name)} twice")
            seen.add(name)
            yield name, Member(header, length, crc32, method == 0 and not flags & 1 and packed == length)
            place += 46 + names + extras + comments

    def place(self, name: str) -> tuple[int, Member]:
        """(offset, Member) of the data of a member that is stored as it is."""
        member = self.members[name]
        if not member.stored:
            raise CheckpointError(
                f"{self.path}: its member {printable(name)} is compressed or encrypted, which torch does not do; "
                "take the file again from its source, as torch.save wrote it"
            )
        local = self.at(member.header, 30)
        method, names, extras = struct.unpack("<H16xHH", local[8:30])
        if not local.startswith(b"PK\x03\x04") or method or self.at(member.header + 30, names) != name.encode("utf-8"):
            raise self.damaged(f"its directory and the header of {printable(name)} disagree")
        offset = member.header + 30 + names + extras
        if offset + member.length > self.start:
            raise self.damaged(f"{printable(name)} reaches over its end")
        return offset, member


def large_sizes(extra: bytes, values: list[int]) -> list[int]:
    """[length, packed length, header offset] with those that do not fit 32 bits taken from the zip64 field."""
    place = 0
    while place + 4 <= len(extra):
        kind, length = struct.unpack_from("<HH", extra, place)
        if kind == 1:
            field = extra[place + 4 : place + 4 + length]
            large = iter(struct.unpack(f"<{len(field) // 8}Q", field[: len(field) // 8 * 8]))
            return [next(large, value) if value == 0xFFFFFFFF else value for value in values]
        place += 4 + length
    return values

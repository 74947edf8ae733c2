"""The records of a zip archive of stored files that is written from its beginning to its end (APPNOTE 6.3, Info-ZIP).

Sizes and checksums stand in front of each file, so that every program can unpack it, also as it comes. Names are UTF-8.
"""

import struct
from dataclasses import dataclass

STORED, UTF8 = 0, 0x0800
VERSION, VERSION_64 = 20, 45
WIDE, MANY = 0xFFFFFFFF, 0xFFFF
"""Marks of 4 and 2 bytes that say that the value stands in a wider field"""
LARGEST, MOST = WIDE, MANY
"""Sizes and places, and numbers of files, from which on there are such fields"""
UNIX_FILE = 0o100644 << 16
MADE_ON_UNIX = 3 << 8
FIRST_DAY = 1 << 21 | 1 << 16
"""1980-01-01 as MS-DOS has it: where the time of a file is not known"""


@dataclass(frozen=True)
class Entry:
    """A file of an archive. crc: CRC-32 of its content; size: bytes; moment: as `dos_time` makes it; offset: where its
    record begins."""

    name: str
    crc: int
    size: int
    moment: int
    offset: int


def dos_time(year: int, month: int, day: int, hour: int, minute: int, second: int) -> int:
    """A moment as MS-DOS has it, day in the high half; the first or last one for years that it has not."""
    if year < 1980:
        return FIRST_DAY
    if year > 2107:
        year, month, day, hour, minute, second = 2107, 12, 31, 23, 59, 58
    return (year - 1980) << 25 | month << 21 | day << 16 | hour << 11 | minute << 5 | min(second, 59) // 2


def local_record(entry: Entry) -> bytes:
    """What stands in front of the content of a file."""
    name, wide = entry.name.encode(), entry.size >= LARGEST
    extra = struct.pack("<HHQQ", 1, 16, entry.size, entry.size) if wide else b""
    size = WIDE if wide else entry.size
    return (
        struct.pack(
            "<4sHHHIIIIHH",
            b"PK\3\4",
            VERSION_64 if wide else VERSION,
            UTF8,
            STORED,
            entry.moment,
            entry.crc,
            size,
            size,
            len(name),
            len(extra),
        )
        + name
        + extra
    )


def central_record(entry: Entry) -> bytes:
    """What the list at the end says of a file."""
    name, wide, far = entry.name.encode(), entry.size >= LARGEST, entry.offset >= LARGEST
    extra = struct.pack("<QQ", entry.size, entry.size) * wide + struct.pack("<Q", entry.offset) * far
    if extra:
        extra = struct.pack("<HH", 1, len(extra)) + extra
    size, version = WIDE if wide else entry.size, VERSION_64 if extra else VERSION
    return (
        struct.pack(
            "<4sHHHHIIIIHHHHHII",
            b"PK\1\2",
            MADE_ON_UNIX | version,
            version,
            UTF8,
            STORED,
            entry.moment,
            entry.crc,
            size,
            size,
            len(name),
            len(extra),
            0,
            0,
            0,
            UNIX_FILE,
            WIDE if far else entry.offset,
        )
        + name
        + extra
    )


def end_records(count: int, size: int, offset: int) -> bytes:
    """What ends an archive. count: of its files; size, offset: bytes of the list of them, and where that begins."""
    number = MANY if count >= MOST else count
    length, place = (WIDE if value >= LARGEST else value for value in (size, offset))
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, number, number, length, place, 0)
    if (number, length, place) == (count, size, offset):
        return end
    wide = struct.pack(
        "<4sQHHIIQQQQ", b"PK\6\6", 44, MADE_ON_UNIX | VERSION_64, VERSION_64, 0, 0, count, count, size, offset
    )
    return wide + struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1) + end

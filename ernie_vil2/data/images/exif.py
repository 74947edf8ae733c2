"""What EXIF says of a picture beside its pixels: when it was taken, and how it is turned. Nothing is decoded."""

import calendar
import re
import struct
from collections.abc import Mapping

from .formats.kinds import kind_of
from .formats.tiff import tiff_entries
from .inspection import exif_of

ORIENTATION, EXIF_DIRECTORY, TAKEN = 0x0112, 0x8769, 0x9003
LENGTH = 20
"""Bytes of a date as EXIF writes it, with the zero byte at its end"""
DATE = re.compile(rb"(\d{4})[:-](\d\d)[:-](\d\d)[ T](\d\d):(\d\d):(\d\d)")
Values = Mapping[int, tuple[int, int, int]]
"""{tag: (type, count, place of the value or of its offset)}"""


def exif_facts(data: bytes) -> tuple[int, int | None]:
    """(orientation from 1 to 8, seconds since 1970 at which the picture was taken or None) of the bytes of a picture.

    The time is DateTimeOriginal, which is the camera's clock without a zone; it is counted as if that were UTC, so that
    its days are those that the photographer knows. What cannot be read is 1 and None.
    """
    kind = kind_of(data)
    exif = data if kind == "TIFF" else exif_of(kind, data) if kind else b""
    if not exif:
        return 1, None
    try:
        order, _, first = tiff_entries(exif)
    except (struct.error, ValueError):
        return 1, None
    tags = {tag: (form, count, place) for tag, form, count, place in first}
    return orientation(exif, order, tags), taken_at(exif, order, tags)


def orientation(exif: bytes, order: str, tags: Values) -> int:
    """The orientation of the first directory."""
    try:
        (value,) = struct.unpack_from(order + "H", exif, tags[ORIENTATION][2])
    except (struct.error, KeyError):
        return 1
    return value if 1 <= value <= 8 else 1


def taken_at(exif: bytes, order: str, tags: Values) -> int | None:
    """DateTimeOriginal, of the directory of EXIF or where a program put it into the first one, in seconds."""
    try:
        if TAKEN not in tags:
            (place,) = struct.unpack_from(order + "I", exif, tags[EXIF_DIRECTORY][2])
            _, _, entries = tiff_entries(exif[:4] + struct.pack(order + "I", place) + exif[8:])
            tags = {tag: (form, count, at) for tag, form, count, at in entries}
        (place,) = struct.unpack_from(order + "I", exif, tags[TAKEN][2])
    except (struct.error, ValueError, KeyError):
        return None
    return seconds_of(exif[place : place + LENGTH])


def seconds_of(written: bytes) -> int | None:
    """Seconds since 1970 of `2024:05:01 12:30:00`; None for what is no date, as cameras without a clock write it."""
    found = DATE.match(written)
    if not found:
        return None
    year, month, day, hour, minute, second = map(int, found.groups())
    if not (year >= 1 and 1 <= month <= 12 and 1 <= day <= calendar.monthrange(year, month)[1]):
        return None
    if hour > 23 or minute > 59 or second > 60:
        return None
    return calendar.timegm((year, month, day, hour, minute, second))

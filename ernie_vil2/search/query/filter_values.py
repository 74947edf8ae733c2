"""Values of a filter as spans of whole numbers: dates as seconds, sizes as bytes, moments of videos as milliseconds."""

import math
import re
from collections.abc import Callable
from datetime import datetime, timedelta, timezone

from ...errors import ConfigError
from ...messages import quoted

Span = tuple[int | None, int | None]
"""The first whole number that is in it and the first one behind it; None where there is no such end"""
RANGE = ".."
LARGEST = 1 << 62
DATE = re.compile(r"(\d{4})(?:-(\d{1,2})(?:-(\d{1,2})(?:[T ](\d{1,2}):(\d{2})(?::(\d{2}))?)?)?)?")
NUMBER = re.compile(r"-?\d{1,18}")
SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)(?:([kmgt]?)(i?)b)?", re.IGNORECASE)
MOMENT = re.compile(r"(?:(?:(\d{1,5}):)?(\d{1,5}):)?(\d{1,9})(?:\.(\d{1,3}))?s?")
POWERS = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4}
EXAMPLES = {
    "date": "2021, 2021-05, 2021-05-03 or 2021-05-03T18:30",
    "size": "500kB, 2MB or 1.5MiB",
    "time": "90, 12.5 or 1:30",
}


def date_span(text: str) -> Span | None:
    """Seconds of a year, a month, a day, a minute or a second; None where the text is none of these."""
    found = DATE.fullmatch(text)
    if found is None:
        return None
    parts = [int(part) for part in found.groups() if part is not None]
    try:
        first = datetime(*[*parts, 1, 1][: max(3, len(parts))], tzinfo=timezone.utc)
        if len(parts) == 1:
            last = first.replace(year=first.year + 1)
        elif len(parts) == 2:
            last = (first + timedelta(days=31)).replace(day=1)
        else:
            last = first + {3: timedelta(days=1), 5: timedelta(minutes=1), 6: timedelta(seconds=1)}[len(parts)]
    except (ValueError, OverflowError):
        return None
    return int(first.timestamp()), int(last.timestamp())


def number_span(text: str) -> Span | None:
    """A whole number alone."""
    return (int(text), int(text) + 1) if NUMBER.fullmatch(text) else None


def size_span(text: str) -> Span | None:
    """Bytes; kB, MB, GB and TB are powers of 1,000, and KiB to TiB of 1,024."""
    found = SIZE.fullmatch(text)
    if found is None:
        return None
    figure, power, binary = found.groups()
    count = math.ceil(float(figure) * (1024 if binary else 1000) ** POWERS[(power or "").lower()])
    return (count, count + 1) if count < LARGEST else None


def moment_span(text: str) -> Span | None:
    """Milliseconds of the second that is named, or of the part of it: `90`, `12.5`, `1:30`, `1:02:03`."""
    found = MOMENT.fullmatch(text)
    if found is None:
        return None
    hours, minutes, seconds, part = found.groups()
    whole = (int(hours or 0) * 60 + int(minutes or 0)) * 60 + int(seconds)
    unit = 10 ** (3 - len(part or ""))
    first = whole * 1000 + int(part or 0) * unit
    return first, first + unit


READERS: dict[str, Callable[[str], Span | None]] = {
    "date": date_span,
    "height": number_span,
    "id": number_span,
    "size": size_span,
    "time": moment_span,
    "width": number_span,
}
"""{column that is compared as a number: what reads a value of it}"""


def span_of(field: str, sign: str, text: str) -> Span:
    """What a comparison lets through. sign: one of `: = < <= > >=`; after the first two the text may be `A..B`, where
    A or B may be left out. Raises ConfigError for what is no value of the field."""
    if sign in (":", "=") and RANGE in text:
        low, high = (part.strip() for part in text.split(RANGE, 1))
        if not low and not high:
            raise fault(field, text)
        first = read(field, low)[0] if low else None
        last = read(field, high)[1] if high else None
        if first is not None and last is not None and first >= last:
            raise ConfigError(f"filter: {field}:{quoted(text, 80)} ends before it begins; turn it round")
        return first, last
    first, last = read(field, text)
    return {":": (first, last), "=": (first, last), "<": (None, first), "<=": (None, last)}.get(
        sign, (first if sign == ">=" else last, None)
    )


def read(field: str, text: str) -> Span:
    """The span of one value."""
    span = READERS[field](text)
    if span is None:
        raise fault(field, text)
    return span


def fault(field: str, text: str) -> ConfigError:
    """The error of a text that is no value of a field."""
    return ConfigError(f"filter: {quoted(text, 80)} is no {field}; write {EXAMPLES.get(field, 'a whole number')}")

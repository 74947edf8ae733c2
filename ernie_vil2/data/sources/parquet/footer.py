"""What the footer of a Parquet file says of its row groups, read here: Arrow ends the process at some that are wrong.

Format: `FileMetaData` of parquet.thrift in Thrift's compact protocol. Fields that are not needed are walked over.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from ....errors import DataError
from ..tar.headers import shown

MAX_DEPTH = 16
"""Of structures within each other; Parquet's own have 7"""
MAX_LIST = 8_000
"""Of row groups, and of columns with all that they hold; Arrow descends a schema of so many levels within its stack"""
WORD = 4
"""Least bytes of a value in memory"""
TRUE, FALSE, BYTE, I16, I32, I64, DOUBLE, BINARY, LIST, SET, MAP, STRUCT = range(1, 13)
SCHEMA, ROWS, GROUPS = 2, 3, 4
CHUNKS, GROUP_ROWS = 1, 3
CHUNK = 3
PATH, VALUES, UNPACKED, PACKED = 3, 5, 6, 7
Struct = dict[int, Any]


class Wrong(Exception):
    """The footer is none: the reason as a clause."""


class Group(NamedTuple):
    """rows; sizes: {column in UTF-8: bytes in memory of all that it holds, as far as the footer tells}."""

    rows: int
    sizes: dict[bytes, int]

    def size(self, name: str) -> int:
        """The bytes of a column."""
        return self.sizes.get(name.encode(), 0)


class Compact:
    """A reader of Thrift's compact protocol; every step takes at least a byte, so that it ends with the bytes."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def byte(self) -> int:
        """The next byte."""
        if self.at >= len(self.data):
            raise Wrong("it ends early")
        self.at += 1
        return self.data[self.at - 1]

    def number(self) -> int:
        """An unsigned number of at most 64 bits."""
        value = shift = 0
        while shift < 64:
            byte = self.byte()
            value |= (byte & 127) << shift
            if byte < 128:
                return value
            shift += 7
        raise Wrong("a number has too many bytes")

    def signed(self) -> int:
        """A number in zigzag form."""
        value = self.number()
        return value >> 1 ^ -(value & 1)

    def text(self) -> bytes:
        """Bytes behind their count."""
        count = self.number()
        if count > len(self.data) - self.at:
            raise Wrong("a text is longer than the rest")
        self.at += count
        return self.data[self.at - count : self.at]

    def value(self, kind: int, depth: int = 0, inside: bool = False) -> Any:
        """A value of a kind; inside: of a list, where truth takes a byte of its own."""
        if depth > MAX_DEPTH:
            raise Wrong("structures lie too deep")
        if kind in (TRUE, FALSE):
            return self.byte() == TRUE if inside else kind == TRUE
        if kind == BYTE:
            return self.byte()
        if kind in (I16, I32, I64):
            return self.signed()
        if kind == DOUBLE:
            return [self.byte() for _ in range(8)]
        if kind == BINARY:
            return self.text()
        if kind in (LIST, SET):
            head = self.byte()
            count = head >> 4 if head >> 4 < 15 else self.number()
            return [self.value(head & 15, depth + 1, True) for _ in range(self.bounded(count))]
        if kind == MAP:
            count = self.bounded(self.number())
            kinds = self.byte() if count else 0
            return [[self.value(part, depth + 1, True) for part in (kinds >> 4, kinds & 15)] for _ in range(count)]
        if kind == STRUCT:
            return dict(self.fields(depth))
        raise Wrong("a field is of an unknown kind")

    def bounded(self, count: int) -> int:
        """A count of things, each of which takes a byte."""
        if count > len(self.data) - self.at:
            raise Wrong("a list is longer than the rest")
        return count

    def fields(self, depth: int) -> Iterator[tuple[int, Any]]:
        """Yield (number, value) of the fields of a structure."""
        number = 0
        while head := self.byte():
            number = number + (head >> 4) if head >> 4 else self.signed()
            yield number, self.value(head & 15, depth + 1)


def read_footer(path: str, data: bytes) -> list[Group]:
    """The row groups of a file; DataError for a footer that is broken or beyond the limits."""
    try:
        content = Compact(data).value(STRUCT)
        schema, groups = content[SCHEMA], content.get(GROUPS, [])
        for what, found in (("columns with all that they hold", schema), ("row groups", groups)):
            if len(found) > MAX_LIST:
                raise DataError(f"{path}: has {len(found):,} {what}; write it with at most {MAX_LIST:,}")
        found = [group_of(group) for group in groups]
        if content[ROWS] != sum(group.rows for group in found):
            raise Wrong("it counts other rows than its groups have")
    except Wrong as error:
        raise damaged(path, f"its footer: {error}") from None
    except (KeyError, TypeError, AttributeError, IndexError):
        raise damaged(path, "its footer lacks what every footer has") from None
    return found


def group_of(group: Struct) -> Group:
    """The Group of a RowGroup; runs of equal values count as what they become."""
    sizes: dict[bytes, int] = {}
    for chunk in group[CHUNKS]:
        facts = chunk[CHUNK]
        name = bytes(facts[PATH][0])
        told = [facts[UNPACKED], facts[PACKED], WORD * facts[VALUES]]
        if min(*told, group[GROUP_ROWS]) < 0:
            raise Wrong("a count is negative")
        if facts[VALUES] < group[GROUP_ROWS]:
            raise Wrong("a column has fewer values than rows")
        sizes[name] = sizes.get(name, 0) + max(told)
    return Group(group[GROUP_ROWS], sizes)


def damaged(path: str, reason: object) -> DataError:
    """The error of what cannot be read."""
    text = shown(" ".join(str(reason).split()).rstrip("."), 200)
    return DataError(f"{path}: cannot be read as Parquet ({text}); copy or write the file again")

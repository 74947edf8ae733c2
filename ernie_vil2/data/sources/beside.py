"""Object tags and boxes beside a source: JSON lines {id, tags} and {id, boxes}, joined by image id at loading."""

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, SupportsIndex

import numpy as np

from ...errors import ConfigError, DataError
from ...files.json_files import KeyTwice, parse_json
from ...messages import counted
from . import fields
from .base import RowError, Sample, Source, digest
from .lines import LineFile
from .rows.texts import decode_utf8, plain_text

READERS: dict[str, Callable[[Any, str], tuple | None]] = {"tags": fields.tag_list, "boxes": fields.box_list}
"""{field of a Sample and option of a source: function of a row's field and its place}"""
EXAMPLES = {"tags": '["...", "..."]', "boxes": "[[x1, y1, x2, y2]]"}


class IdFile:
    """Tags or boxes by image id, from JSON lines {id, field}: 24 bytes of memory a row, read when it is asked for.

    field: a key of READERS. Raises ConfigError when `path` is none, DataError for a file that cannot be used, a row
    without an id, and an id that occurs twice.
    """

    def __init__(self, path: str | os.PathLike, field: str):
        self.field = field
        if not isinstance(path, (str, os.PathLike)):
            raise ConfigError(
                f"{field}: {path!r} is no file; name the JSON lines that ernie-vil2 data {field} has written"
            )
        self.path = Path(path)
        self.lines = LineFile(path)
        hashes = np.empty(len(self.lines), np.uint64)
        wanted, row = {self.lines.line(row) for row in range(len(self.lines))}, 0
        for line, fetch in self.lines.walk():
            if line in wanted:
                hashes[row] = digest(self.parse(fetch(1), row)[0].encode())
                row += 1
        self.rows = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.rows]
        for place in np.flatnonzero(self.hashes[1:] == self.hashes[:-1]):
            first, second = (self.parse(self.lines.read(row), row)[0] for row in self.rows[place : place + 2])
            if first == second:
                raise DataError(
                    f"{self.lines.where(self.rows[place + 1])}: the id {first!r} was on a line before; keep one of them"
                )

    def __len__(self):
        return len(self.lines)

    def get(self, key: str) -> tuple | None:
        """The tags or boxes of an image id as a tuple, or None when the file does not know it."""
        mark = np.uint64(digest(key.encode("utf-8", "surrogatepass")))
        place = int(np.searchsorted(self.hashes, mark))
        while place < len(self.hashes) and self.hashes[place] == mark:
            row = int(self.rows[place])
            known, content = self.parse(self.lines.read(row), row)
            if known == key:
                return READERS[self.field](content.get(self.field), self.lines.where(row))
            place += 1
        return None

    def parse(self, raw: bytes, row: int) -> tuple[str, dict[str, Any]]:
        """(id, content) of a row."""
        try:
            content = parse_json(decode_utf8(raw, self.lines.where(row), "line"))
            key = content["id"]
        except KeyTwice as error:
            raise RowError(self.lines.where(row), f"bad {self.field}", str(error), "keep one of them") from None
        except (ValueError, KeyError, TypeError):
            key = None
        if isinstance(key, int) and not isinstance(key, bool):
            key = str(key)
        if not isinstance(key, str):
            raise RowError(
                self.lines.where(row),
                f"bad {self.field}",
                "the line is no JSON object with an id",
                f'write {{"id": "...", "{self.field}": {EXAMPLES[self.field]}}}, as ernie-vil2 data {self.field} does',
            )
        return plain_text(key, self.lines.where(row), "id"), content


class BesideSource(Source):
    """A source whose samples take the tags or boxes that an IdFile has for their image id; others keep their own."""

    def __init__(self, source: Source, path: str | os.PathLike, field: str):
        self.source, self.file = source, IdFile(path, field)
        self.name, self.sides = source.name, source.sides

    def __len__(self):
        return len(self.source)

    def load(self, index: int) -> Sample:
        sample = self.source.load(index)
        found = self.file.get(sample.id)
        own = self.source.own_id(index, sample.id)
        if found is None and own != sample.id:  # the file may know an id without what a join puts in front of it
            found = self.file.get(own)
        return sample if found is None else replace(sample, **{self.file.field: found})

    def key(self, index: SupportsIndex) -> str:
        return self.source.key(index)

    def where(self, index: SupportsIndex) -> str:
        return self.source.where(index)

    def qualify_ids(self, folders: bool = True) -> None:
        self.source.qualify_ids(folders)

    def own_id(self, index: int, key: str) -> str:
        return self.source.own_id(index, key)

    def folders(self) -> set[Path | str | None]:
        return self.source.folders()

    def lacking(self, side: str) -> list[str]:
        return self.source.lacking(side)

    def unused_files(self) -> Iterator[Path]:
        return self.source.unused_files()

    @property
    def notes(self) -> list[str]:
        return [*self.source.notes, *self.file.lines.notes]

    def shard_sizes(self) -> list[int]:
        return self.source.shard_sizes()

    def faults(self, checksums: bool = False) -> Iterator[str]:
        return self.source.faults(checksums)

    def describe(self) -> str:
        return f"{self.source.describe()}; {self.file.field} of {counted(len(self.file), 'id')} from {self.file.path}"

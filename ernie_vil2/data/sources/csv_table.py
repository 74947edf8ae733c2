"""CSV tables of captions: quotes may stretch a row over several lines, and yet rows are found by an index."""

import os
import re
from collections.abc import Mapping
from typing import Any, SupportsIndex

import numpy as np

from ...errors import DataError, nearest
from ...files.yaml_files import flow_text
from ...messages import brief, counted
from .base import RowError
from .line_files import MappingSource
from .lines import MAX_LINE_BYTES, LineFile
from .rows.cells import DELIMITERS, cells, leaves_quote_open
from .rows.columns import IMAGE_FIELDS, KEYS, KNOWN, TEXT_KEYS, clean
from .rows.texts import decode_utf8, shorten

MAX_RECORD_LINES = 100  # a quoted caption over more lines than this is taken for a quote that was never closed
BASE64_LINE = re.compile(rb"[A-Za-z0-9+/_-]{16,}={0,2}\s*")  # of which a picture may have thousands
SEPARATOR = re.compile(rb'"?sep=([,;\t])"?\s*', re.IGNORECASE)  # a first line that Excel writes and reads
PICTURE = re.compile(r"\.(?:jpe?g|png|webp|bmp|gif|tiff?)$")  # in small letters, as names of columns are compared
NOTED = 160  # characters of a list of columns in a note
LISTED = 12  # names of columns that an error tells
NAMES = {*KEYS, *KNOWN}


class CsvSource(MappingSource):
    """A table (comma, semicolon or tab) whose header names at least an image column and a caption column."""

    title = "CSV rows"
    any_end = True

    def __init__(
        self,
        path: str | os.PathLike,
        allow_outside: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        encoding: str = "",
        columns: Mapping[str, str] | None = None,
    ):
        super().__init__(path, allow_outside, max_line_bytes, encoding, columns)
        self.columns.named = {key: clean(name) for key, name in self.columns.named.items()}
        self.inside = np.zeros(0, np.int64)
        separator = SEPARATOR.fullmatch(self.lines.read(0, head=16))
        if separator and len(self) > 1:
            self.lines.skip([self.lines.line(0)])
        first = self.lines.line(0)
        self.delimiter = separator.group(1).decode() if separator else self._delimiter()
        within, blank = lines_within(self.lines, first, self.delimiter.encode())
        self.inside = np.array([*range(first), *within], np.int64)
        """Lines that Excel does not count as rows: `sep=`, and those that go on a cell"""
        self.lines.skip(within + blank)
        self.header, self.places = self._header()
        self.lines.skip([first])
        if not len(self):
            raise DataError(f"{path}: the file holds a header but no rows; write a row per caption into it")

    def where(self, index: SupportsIndex) -> str:
        """`file:line` of a row, and its number in the sheet where lines inside of cells make that another one."""
        line = self.lines.line(self.position(index))
        before = int(np.searchsorted(self.inside, line))
        return super().where(index) + (f" (row {line + 1 - before} of the sheet)" if before else "")

    @property
    def notes(self) -> list[str]:
        """What the columns were taken for, where some were passed over."""
        keys = {place: key for key, place in self.places.items() if key in KEYS}
        passed = ", ".join(name for place, name in enumerate(self.header) if name and place not in keys)
        taken = ", ".join(f"{self.header[place]} as {keys[place]}" for place in sorted(keys))
        told = f"{self.name}: takes {brief(taken, NOTED)}; passes over {brief(passed, NOTED)}"
        return [*super().notes, told] if passed else super().notes

    def named(self, index: int) -> dict[str, Any]:
        """The fields of a row as a dict of strings; empty optional fields are left out."""
        where = self.where(index)
        raw = self.lines.read(index, through=True)
        if leaves_quote_open(raw, self.delimiter.encode()):
            raise RowError(
                where,
                "unclosed quote",
                "a quote is opened on this line and never closed",
                'close it, or write a quote inside a quoted caption as ""',
            )
        values = cells(decode_utf8(raw, where, "row"), self.delimiter)
        while len(values) > len(self.header) and values[-1] == "":  # a spreadsheet's empty columns at the right
            values.pop()
        if len(values) != len(self.header):
            fix = "add the missing ones, they may be empty"
            if len(values) > len(self.header):
                fix = f"put captions that hold {self.delimiter!r} into double quotes"
            reason = f"the row has {counted(len(values), 'column')} but the header has {len(self.header)}"
            raise RowError(where, "wrong number of columns", reason, fix)
        row = {key: values[place] for key, place in self.places.items()}
        return {key: value for key, value in row.items() if value != "" or key in TEXT_KEYS}

    def renamed(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        """The row itself: its header has our names already."""
        return row

    def _delimiter(self):
        text, known = self._header_text(False), NAMES | set(self.columns.named.values())
        found = {mark: {clean(name) for name in cells(text, mark)} for mark in DELIMITERS}
        return max(found, key=lambda mark: len(found[mark] & known))

    def _header_text(self, through):
        return decode_utf8(self.lines.read(0, through=through), self.lines.where(0), "header")

    def _header(self):
        """([names of the columns], {our key, or a column's own name: its place})."""
        where, text = self.lines.where(0), self._header_text(True)
        header = [clean(name) for name in cells(text, self.delimiter)]
        known = NAMES | set(self.columns.named.values())
        twice = next((name for name in header if name in known and header.count(name) > 1), None)
        if twice:
            raise DataError(f"{where}: the header names the column {twice!r} twice; keep one")
        for key, name in self.columns.named.items():
            if name not in header:
                close = nearest(name, header)
                hint = f"did you mean {close!r}?" if close else f"it has {shorten(', '.join(header))}"
                raise DataError(f"{where}: the header has no column {name!r}, which columns names for {key}; {hint}")
        places = self.columns.keys({name: place for place, name in enumerate(header)}, where)
        for kind, names in (("image", IMAGE_FIELDS), ("caption", TEXT_KEYS)):
            if not set(names) & set(places):
                known = ", ".join([*names, *(name for name, key in KNOWN.items() if key == names[0])][:LISTED])
                raise DataError(
                    f"{where}: the header {shorten(text)} has no {kind} column ({known}, ...); "
                    + self._missing(names[0], header)
                )
        return header, places

    def _missing(self, key, header):
        """What to do about a header without a column of `key`."""
        if any(PICTURE.search(name) for name in header):
            return "it seems to be a row already: write a first row that names the columns, such as 图片,描述"
        name = like(key, header)
        hint = f"rename {name!r}" if name else "add one"
        option = f"{{path: {flow_text(self.name)}, columns: {{{key}: {flow_text(name or 'NAME')}}}}}"
        return f"{hint}, or name the one that is meant by the option columns, as in '{option}'"


def like(key: str, header: list[str]) -> str | None:
    """The column that may be meant for `key`: one with a known name in its own (商品说明), or spelt nearly so. Of
    several names in one the longest counts: 商品图片描述 has no pictures."""
    inside = {name: max((known for known in KNOWN if known in name), key=len, default="") for name in header}
    return next((name for name, known in inside.items() if KNOWN.get(known) == key), None) or nearest(key, header)


def lines_within(lines: LineFile, first: int, delimiter: bytes) -> tuple[list[int], list[int]]:
    """Physical lines after `first` at which no row begins: those that go on a quoted cell begun before them, and those
    of nothing but delimiters, which spreadsheets leave below a table."""
    found, blank, until, skipped = [], [], first, set(lines.skipped.tolist())
    for line, fetch in lines.walk(first, "replace"):
        record = fetch(1) if line >= until and line not in skipped else b""
        if line > first and record and not record.strip(delimiter + b" \r\n"):
            blank.append(line)
        if b'"' not in record or not leaves_quote_open(record, delimiter):
            continue
        ahead, size, texts = 0, len(record), 1
        while texts < MAX_RECORD_LINES and size <= lines.max_line_bytes and line + ahead + 1 < lines.count:
            ahead += 1
            record = fetch(1, ahead)
            size += len(record)
            texts += not BASE64_LINE.fullmatch(record)
            if b'"' in record and not leaves_quote_open(record, delimiter, True):
                found.extend(range(line + 1, line + ahead + 1))
                until = line + ahead + 1
                break
    return found, blank

"""CSV tables of captions: quotes may stretch a row over several lines, and yet rows are found by an index."""

import csv
import io
import os
from typing import Any

from ...errors import DataError, nearest
from . import fields
from .base import RowError
from .line_files import MappingSource
from .lines import MAX_LINE_BYTES, LineFile
from .rows.texts import decode_utf8, shorten

MAX_RECORD_LINES = 100  # a quoted caption over more lines than this is taken for a quote that was never closed


class CsvSource(MappingSource):
    """A CSV (comma, semicolon or tab) whose header names at least an image column and a caption column."""

    title = "CSV rows"

    def __init__(self, path: str | os.PathLike, allow_outside: bool = False, max_line_bytes: int = MAX_LINE_BYTES):
        super().__init__(path, allow_outside, max_line_bytes)
        self.delimiter, self.header = self._read_header()
        first = self.lines.line(0)
        self.lines.skip([first])
        self.lines.skip(continuation_lines(self.lines, first + 1, self.delimiter.encode()))
        if not len(self):
            raise DataError(f"{path}: the file holds a header but no rows; write a row per caption into it")

    def mapping(self, index: int) -> dict[str, Any]:
        """The fields of a row as a dict of strings; empty optional fields are left out."""
        where = self.lines.where(index)
        raw = self.lines.read(index, through=True)
        if leaves_quote_open(raw, self.delimiter.encode()):
            raise RowError(
                where,
                "unclosed quote",
                "a quote is opened on this line and never closed",
                'close it, or write a quote inside a quoted caption as ""',
            )
        try:
            text = decode_utf8(raw, where, "row")
            values = next(csv.reader(io.StringIO(text, newline=""), delimiter=self.delimiter))
        except csv.Error as error:
            raise RowError(where, "bad CSV", f"not valid CSV ({error})", "correct that row") from None
        if len(values) != len(self.header):
            fix = "add the missing ones, they may be empty"
            if len(values) > len(self.header):
                fix = f"put captions that hold {self.delimiter!r} into double quotes"
            count = f"{len(values)} column" + ("s" if len(values) > 1 else "")
            reason = f"the row has {count} but the header has {len(self.header)}"
            raise RowError(where, "wrong number of columns", reason, fix)
        row = dict(zip(self.header, values, strict=True))
        return {key: value for key, value in row.items() if value != "" or key in fields.TEXT_KEYS}

    def _read_header(self):
        where = self.lines.where(0)
        text = decode_utf8(self.lines.read(0), where, "header")
        found = {mark: [name.strip().lower() for name in next(csv.reader([text], delimiter=mark))] for mark in ",;\t"}
        delimiter = max(found, key=lambda mark: len(set(found[mark]) & set(fields.KEYS)))
        header = found[delimiter]
        for kind, names in (("image", fields.IMAGE_KEYS), ("caption", fields.TEXT_KEYS)):
            if not set(names) & set(header):
                close = nearest(names[0], header)
                hint = f"rename {close!r}" if close else "add one"
                raise DataError(
                    f"{where}: the header {shorten(text)} has no {kind} column ({', '.join(names)}); {hint}"
                )
        twice = next((name for name in header if header.count(name) > 1 and name in fields.KEYS), None)
        if twice:
            raise DataError(f"{where}: the header names the column {twice!r} twice; keep one")
        return delimiter, header


def continuation_lines(lines: LineFile, first: int, delimiter: bytes) -> list[int]:
    """Physical lines that go on a quoted field begun before them, so that no row begins there."""
    found, until = [], first
    for line, fetch in lines.walk(first):
        record = fetch(1) if line >= until else b""
        if b'"' not in record or not leaves_quote_open(record, delimiter):
            continue
        for span in range(2, min(MAX_RECORD_LINES, lines.count - line) + 1):
            record = fetch(span)
            if len(record) > lines.max_line_bytes:
                break
            if not leaves_quote_open(record, delimiter):
                found.extend(range(line + 1, line + span))
                until = line + span
                break
    return found


def leaves_quote_open(record: bytes, delimiter: bytes) -> bool:
    """Whether a record ends inside a field that began with a quote; elsewhere in a field a quote is a character."""
    at = 0
    while True:
        if record[at : at + 1] == b'"':
            at += 1
            while True:
                at = record.find(b'"', at) + 1
                if not at:
                    return True
                if record[at : at + 1] != b'"':
                    break
                at += 1
        at = record.find(delimiter, at) + 1
        if not at:
            return False

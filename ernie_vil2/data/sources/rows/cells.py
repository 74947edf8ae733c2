"""Cells of a row of comma-separated values: the rules of Python's `csv` without its limit of 131,072 characters."""

import re

DELIMITERS = ",;\t"
ENDS = {delimiter: re.compile(f"[{delimiter}\r\n]") for delimiter in DELIMITERS}


def cells(record: str, delimiter: str = ",") -> list[str]:
    """The cells of a record; one that begins with a quote ends at the next single one, or with the record."""
    found, at = [], 0
    while True:
        parts = []
        if record.startswith('"', at):
            while True:  # from a quote to the next: two in a row stand for one
                end = record.find('"', at + 1)
                parts.append(record[at + 1 : end if end >= 0 else None])
                if end < 0:
                    return [*found, "".join(parts)]
                at = end + 1
                if not record.startswith('"', at):
                    break
                parts.append('"')
        end = ENDS[delimiter].search(record, at)
        parts.append(record[at : end.start() if end else None])
        found.append("".join(parts))
        if not end or end.group() != delimiter:
            return found
        at = end.end()


def leaves_quote_open(record: bytes, delimiter: bytes, inside: bool = False) -> bool:
    """Whether a record ends inside a cell that began with a quote; elsewhere in a cell a quote is a character.

    inside: whether it begins inside of one.
    """
    at = 0
    while True:
        if inside or record[at : at + 1] == b'"':
            at += not inside
            inside = False
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

"""The language of filters: `folder:2021/上海 date:2021-05..2021-07 -tag:cat width>=1000 video`.

Terms stand between blanks, and a row must meet all of them; `-` before a term turns it round, `|` stands between values
one of which is enough, and quotation marks keep blanks and `|` in a value.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ...errors import ConfigError, nearest
from ...messages import quoted
from .filter_values import RANGE, READERS, Span, span_of

TEXTS = ("caption", "folder", "name", "source", "tag")
KINDS = ("picture", "video")
FIELDS = tuple(sorted([*TEXTS, *READERS]))
KNOWN = f"the fields are {', '.join(FIELDS)}, and the words {' and '.join(KINDS)}"
MOST_CHARACTERS, MOST_TERMS = 4000, 64
TERM = re.compile(r"(-?)([^\W\d]\w*)(<=|>=|[:=<>])?")
SIGNED = re.compile(r"(<=|>=|[=<>])(?!$)")
PIECE = re.compile(r'"((?:[^"\\]|\\.)*)"|([^\s"|]+)')


class UnknownField(ConfigError):
    """A filter names a field that there is not. field: as written; close: the known one nearest to it, or None."""

    def __init__(self, field: str, close: str | None):
        hint = f"did you mean {close!r}? " if close else ""
        super().__init__(f"filter: there is no {quoted(field, 60)}; {hint}{KNOWN}")
        self.field, self.close = field, close


@dataclass(frozen=True)
class Term:
    """A condition: one of the values of a field; texts for texts, spans for numbers. negated: none of them."""

    field: str
    values: tuple[str | Span, ...] = ()
    negated: bool = False


Terms = tuple[Term, ...]
Filter = str | Mapping[str, Any] | None
"""A text in the language of filters, or {field: value}; `-field` for the opposite"""


def terms_of(given: Filter) -> Terms:
    """The terms of a filter; ConfigError for one that cannot be read.

    In a mapping a value is what stands behind the colon, with a sign of comparison before it where the field is a
    number (">=1000"), a pair (low, high) for a range with None for no bound, or a list of values one of which is
    enough; {"video": True} is the word.
    """
    if given is None:
        return ()
    if isinstance(given, str):
        if len(given) > MOST_CHARACTERS:
            raise ConfigError(f"filter: has {len(given):,} characters; write one of at most {MOST_CHARACTERS:,}")
        terms = tuple(parsed(given))
    elif isinstance(given, Mapping):
        terms = tuple(term for field, value in given.items() for term in mapped(field, value))
    else:
        raise ConfigError(f"filter is {quoted(given, 80)}; give a text or a dictionary of fields and values")
    if len(terms) > MOST_TERMS:
        raise ConfigError(f"filter: has {len(terms)} terms; write one of at most {MOST_TERMS}")
    return terms


def parsed(text: str) -> Iterator[Term]:
    """The terms of a text."""
    place = 0
    while place < len(text):
        if text[place].isspace():
            place += 1
            continue
        found = TERM.match(text, place)
        if found is None:
            raise ConfigError(f"filter: {quoted(text[place:], 60)} is no term; write field:value, where {KNOWN}")
        sign = found[3]
        values, place = read_values(text, found.end()) if sign else ([], found.end())
        if not sign and place < len(text) and not text[place].isspace():
            raise ConfigError(f"filter: {quoted(text[found.start() :], 60)} is no term; write field:value")
        yield made(found[2], bool(found[1]), sign, values)


def read_values(text: str, place: int) -> tuple[list[str], int]:
    """(values between `|`, where they end): each of what is in quotation marks and what is not, up to a blank."""
    values, current = [], ""
    while place < len(text) and not text[place].isspace():
        if text[place] == "|":
            values.append(current)
            current, place = "", place + 1
            continue
        piece = PIECE.match(text, place)
        if piece is None:
            raise ConfigError(
                f"filter: {quoted(text[place:], 60)} begins with a quotation mark that has no end; add it"
            )
        current += piece[2] if piece[1] is None else re.sub(r"\\(.)", r"\1", piece[1])
        place = piece.end()
    return [*values, current], place


def mapped(field: str, value: Any) -> Iterator[Term]:
    """The terms of one entry of a mapping."""
    if not isinstance(field, str):
        raise ConfigError(f"filter: {quoted(field, 60)} is no field; {KNOWN}")
    name, negated = field.removeprefix("-"), field.startswith("-")
    if name in KINDS and isinstance(value, bool):
        yield Term(name, (), negated == value)
        return
    if isinstance(value, tuple) and name in TEXTS:
        raise ConfigError(f"filter: {name} is a text, of which there is no range; give a list of values")
    values = [valued(one) for one in value] if isinstance(value, (list, set, frozenset)) else [valued(value)]
    signs = [SIGNED.match(one) if name in READERS else None for one in values]
    if len(values) == 1 and signs[0]:
        yield made(name, negated, signs[0][0], [values[0][signs[0].end() :].strip()])
    else:
        yield made(name, negated, ":", values)


def valued(value: Any) -> str:
    """A value of Python as a filter has it: "" for None, and of a moment the second that it is in."""
    if isinstance(value, tuple) and len(value) == 2:
        return RANGE.join(map(valued, value))
    if isinstance(value, datetime):
        return value.isoformat(timespec="seconds")
    return "" if value is None else str(value)


def made(field: str, negated: bool, sign: str | None, values: list[str]) -> Term:
    """A term, its values read."""
    given, field = field, field.lower()
    if field in KINDS:
        if sign is None:
            return Term(field, (), negated)
        raise ConfigError(f"filter: {field} is a word without a value; write {field} or -{field}")
    if field not in FIELDS:
        raise UnknownField(given, nearest(field, [*FIELDS, *KINDS]))
    if sign is None or not all(values):
        raise ConfigError(f"filter: {field} has no value; write {field}:value")
    if field in READERS:
        return Term(field, tuple(span_of(field, sign, value) for value in values), negated)
    if sign not in (":", "="):
        raise ConfigError(f"filter: {field} is a text, which {sign} does not compare; write {field}:value")
    return Term(field, tuple(values), negated)

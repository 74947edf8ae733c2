"""Which rows of an index a filter lets through: its terms over Arrow columns, to the ids of pictures."""

import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import reduce
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...errors import ConfigError
from ...files.paths.names import name_text
from ...messages import quoted
from ..store.part import Part
from .filter_terms import Term, Terms
from .filter_values import Span

Roots = Mapping[int, Mapping[str, Any]]
WILD = re.compile(r"[*?]")
SHOWN = 4
"""Places that a sentence names"""


def allowed_ids(part: Part, roots: Roots, terms: Terms) -> np.ndarray:
    """int64 [n], ascending: the living pictures that meet all terms. roots: those of the manifest."""
    masks = (mask_of(part.table, roots, term) for term in terms)
    ids = part.ids[reduce(np.logical_and, masks, part.live)]
    return ids if np.all(ids[1:] > ids[:-1]) else np.sort(ids)


def mask_of(table: pa.Table, roots: Roots, term: Term) -> np.ndarray:
    """bool [rows]: which rows meet a term."""
    if term.field in ("picture", "video"):
        found = booleans(pc.is_valid(table["time"]) if term.field == "video" else pc.is_null(table["time"]))
    elif term.field == "tag":
        found = has_tag(table["tags"], [form for value in term.values for form in forms(value)])
    else:
        found = np.zeros(len(table), bool)
        for value in term.values:
            found |= met_by(table, roots, term.field, value)
    return ~found if term.negated else found


def met_by(table: pa.Table, roots: Roots, field: str, value: str | Span) -> np.ndarray:
    """bool [rows]: which rows have a value of a field, or one in a span."""
    if isinstance(value, tuple):
        return in_span(table[field], value)
    if field == "source":
        return has_root(table, places_named(roots, value))
    if field == "folder":
        return below(table, roots, value)
    if field == "caption":
        return any_of(has_substring(table["caption"], form) for form in forms(value))
    return any_of(has_name(table, form) for form in forms(value))


def places_named(roots: Roots, name: str) -> list[int]:
    """The numbers of the places of this name; ConfigError where there is none, which is more likely a slip of the pen
    than a question."""
    found = [number for number, root in roots.items() if names_of(root, number) & spellings(name)]
    if not found:
        known = [quoted(name_text(root["folder"] or root["spec"]), 60) for root in roots.values()]
        more = f" and {len(known) - SHOWN:,} more" if len(known) > SHOWN else ""
        listed = ", ".join(known[:SHOWN]) or "none"
        raise ConfigError(f"filter: there is no source {quoted(name, 60)}; those of the index are {listed}{more}")
    return found


def names_of(root: Mapping[str, Any], number: int) -> set[str]:
    """What a place may be called: as it was given, by its folder or path, or by its number."""
    return {str(number), root["spec"], name_text(root["folder"])} - {""}


def spellings(name: str) -> set[str]:
    """A name as it is, and where it leads from here: an index keeps places by their whole paths."""
    if "\0" in name:  # no path, which the system refuses to look for
        return {name}
    path = os.path.expanduser(name)
    return {name, os.path.abspath(path), name_text(os.path.realpath(path))}


def any_of(masks: Iterator[np.ndarray]) -> np.ndarray:
    """bool [rows]: which rows are in one of the masks."""
    return reduce(np.logical_or, masks)


def forms(text: str) -> list[str]:
    """A text as it is, and with letters and marks put together or taken apart, as systems write names differently."""
    return list(dict.fromkeys([text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]))


def booleans(column: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """bool [rows] of a column of truths; what is unknown is not true."""
    return pc.fill_null(column, False).to_numpy(zero_copy_only=False)


def in_span(column: pa.ChunkedArray, span: Span) -> np.ndarray:
    """bool [rows]: first <= value < last."""
    first, last = span
    found = None if first is None else booleans(pc.greater_equal(column, pa.scalar(first, pa.int64())))
    if last is None:
        return found
    before = booleans(pc.less(column, pa.scalar(last, pa.int64())))
    return before if found is None else found & before


def has_root(table: pa.Table, numbers: list[int]) -> np.ndarray:
    """bool [rows]: which rows came from one of these places."""
    return booleans(pc.is_in(table["root"], value_set=pa.array([int(number) for number in numbers], pa.int32())))


def below(table: pa.Table, roots: Roots, folder: str) -> np.ndarray:
    """bool [rows]: which rows lie in a folder or below it; one that begins with / is a place on this machine."""
    if not folder.startswith(os.sep):
        return any_of(within(table["folder"], form.strip("/")) for form in forms(folder))
    found, wanted = np.zeros(len(table), bool), os.path.normpath(folder)
    for number, root in roots.items():
        top = name_text(root["folder"])
        if top and f"{top}{os.sep}".startswith(f"{wanted.rstrip(os.sep)}{os.sep}"):
            found |= has_root(table, [number])
        elif top and wanted.startswith(f"{top}{os.sep}"):
            inner = wanted[len(top) + 1 :]
            found |= has_root(table, [number]) & any_of(within(table["folder"], form) for form in forms(inner))
        elif not top:
            front = (os.fsencode(f"{form.rstrip(os.sep)}{os.sep}") for form in forms(wanted))
            found |= has_root(table, [number]) & any_of(booleans(pc.starts_with(table["path"], one)) for one in front)
    return found


def within(column: pa.ChunkedArray, folder: str) -> np.ndarray:
    """bool [rows]: which folders are this one, or begin with it and a slash; all are below the one without a name."""
    if folder in ("", "."):
        return np.ones(len(column), bool)
    inner = booleans(pc.starts_with(column, f"{folder}/"))
    return inner | booleans(pc.equal(column, folder))


def has_substring(column: pa.ChunkedArray, text: str) -> np.ndarray:
    """bool [rows]: which texts have this one in them, whatever the case of letters."""
    return booleans(pc.match_substring(column, text, ignore_case=has_case(text)))


def has_case(text: str) -> bool:
    """Whether letters of both cases must be looked for; a text without letters of two cases is found faster."""
    return text.lower() != text.upper()


def has_name(table: pa.Table, pattern: str) -> np.ndarray:
    """bool [rows]: which names have this in them, or are like it where it has * or ?; a frame has that of its video."""
    if not WILD.search(pattern):
        return has_substring(table["key"], pattern)
    like = re.sub(r"([%_\\])", r"\\\1", pattern).replace("*", "%").replace("?", "_")
    found = booleans(pc.match_like(table["key"], like, ignore_case=has_case(pattern)))
    frames = np.flatnonzero(booleans(pc.is_valid(table["time"])))
    if len(frames):
        videos = pc.replace_substring_regex(table["key"].take(pa.array(frames)), "@[^@]*$", "")
        found = found.copy()
        found[frames] |= booleans(pc.match_like(videos, like, ignore_case=has_case(pattern)))
    return found


def has_tag(column: pa.ChunkedArray, tags: list[str]) -> np.ndarray:
    """bool [rows]: which lists have one of these texts."""
    found, first, wanted = np.zeros(len(column), bool), 0, pa.array(tags, pa.string())
    for lists in column.chunks:
        texts = lists.flatten()
        here = booleans(pc.equal(texts, wanted[0]) if len(wanted) == 1 else pc.is_in(texts, value_set=wanted))
        found[first + pc.list_parent_indices(lists).to_numpy()[here]] = True
        first += len(lists)
    return found

"""Pairs that somebody has labelled as the same or not: columns that tabs or commas part, or JSON lines."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..data.sources.rows.cells import cells
from ..data.sources.rows.texts import json_object, shorten
from ..data.tokenizer import is_blank
from ..errors import DataError
from .benchmarks.reading import Reading, rows

NAMES = ("left", "right", "label")
EXAMPLE = '{"left": ..., "right": ..., "label": 0 or 1}'
LABELS = {"0": False, "1": True}


@dataclass(frozen=True)
class LabelledPairs:
    """left, right: items as they are written. same: bool [N]. where: `file:line` of each pair. sha256: of the file."""

    left: list[str]
    right: list[str]
    same: np.ndarray
    where: list[str]
    sha256: str


def read_labelled(path: str | Path) -> LabelledPairs:
    """The LabelledPairs of a file of rows left, right, label (0 or 1).

    Tabs part the columns where the first line has one, commas elsewhere, with quotes around cells that hold some; a
    first line that names left, right and label may give them in another order and beside other columns. Lines that
    begin with a brace are JSON objects, in which an item may also be a whole number. Raises DataError for a file
    without pairs and for a row that is none, naming `file:line`.
    """
    reading, header, delimiter = Reading(), None, ""
    found: tuple[list, ...] = ([], [], [], [])
    for where, text in rows(Path(path), reading):
        if text.lstrip().startswith("{"):
            values = [json_object(text, where, EXAMPLE).get(name) for name in NAMES]
        else:
            first, delimiter = not delimiter, delimiter or ("\t" if "\t" in text else ",")
            columns = text.split("\t") if delimiter == "\t" else cells(text)
            if first and (header := header_of(columns)):
                width = len(columns)
                continue
            if len(columns) != (width if header else len(NAMES)):
                part = "tabs" if delimiter == "\t" else "commas, with quotes around what holds one"
                raise DataError(
                    f"{where}: {len(columns)} columns; write a pair and its label, 0 or 1, parted by {part}"
                )
            values = [columns[place] for place in header] if header else columns
        for column, value in zip(found, (*checked(values, where), where), strict=True):
            column.append(value)
    left, right, same, places = found
    if not left:
        raise DataError(f"{path} has no pair; write rows of left, right and label")
    return LabelledPairs(left, right, np.array(same, bool), places, reading.sha256)


def header_of(columns: list[str]) -> list[int] | None:
    """The places of left, right and label in a line that names its columns; None for another line."""
    names = [column.strip().lower() for column in columns]
    return [names.index(name) for name in NAMES] if set(NAMES) <= set(names) else None


def checked(values: list[Any], where: str) -> tuple[str, str, bool]:
    """Both items, stripped, and the label of a row; DataError where one is none."""
    items = []
    for name, value in zip(NAMES, values[:2], strict=False):
        text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
        if not isinstance(text, str) or is_blank(text):
            raise DataError(f"{where}: {name} is {shorten(value)}; write a sentence, a picture's path, or its id")
        items.append(text.strip())
    label = values[2] if isinstance(values[2], str) else json.dumps(values[2])
    same = LABELS.get({"false": "0", "true": "1"}.get(label.strip(), label.strip()))
    if same is None:
        raise DataError(f"{where}: the label is {shorten(values[2])}; write 1 for the same and 0 for different")
    return items[0], items[1], same

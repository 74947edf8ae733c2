"""Reader of pairs of texts with a label, in the forms in which the STS sets are published."""

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....data.sources.rows.cells import cells
from ....data.sources.rows.texts import json_object, shorten
from ....data.tokenizer import is_blank
from ....errors import DataError
from ...left_out import LeftOut
from ..reading import Reading, rows

FIRST = ("sentence1", "text_a", "text1", "query1", "question1", "premise", "s1")
SECOND = ("sentence2", "text_b", "text2", "query2", "question2", "hypothesis", "s2")
LABEL = ("label", "score", "similarity", "gold_score", "gold_label")
Columns = Callable[[str], list[str]]
"""Function row -> its columns"""
Form = Callable[[str, str], tuple]
"""Function (row, where) -> (text, text, label)"""


@dataclass
class TextPairs:
    """Pairs of texts. labels: float64 [N], higher for more alike; where: `file:line` of each pair."""

    first: list[str]
    second: list[str]
    labels: np.ndarray
    where: list[str]


def read_pairs(path: str | Path, reading: Reading, left_out: LeftOut | None = None) -> TextPairs:
    """TextPairs of a file; its first row says which of the published forms it has.

    JSON lines {sentence1, sentence2, label} (CLUE); columns separated by tabs: two texts and a label (LCQMC,
    senteval_cn), these after an index (ATEC), the STS benchmark's (score in column 5, texts in columns 6 and 7), or
    named by a first line (text_a, text_b, label, as in GLUE); `index||text||text||score` (CNSD); comma-separated values
    of three or four columns. Raises DataError naming `file:line` for any other row,
    or keeps it in `left_out` where that allows it.
    """
    left_out, form = left_out or LeftOut(), None
    first, second, labels, places = [], [], [], []
    for where, text in rows(Path(path), reading):
        if form is None:
            form, is_header = form_of(text, where)
            if is_header:
                continue
        try:
            one, other, label = form(text, where)
            values = checked(one, other, label, where)
        except DataError as error:
            left_out.add(error)
            continue
        for column, value in zip((first, second, labels, places), (*values, where), strict=True):
            column.append(value)
    if not first:
        reason = f": {left_out.reasons[0]}" if left_out.reasons else "; copy it again"
        raise DataError(f"{path} has no pair of texts{reason}")
    return TextPairs(first, second, np.array(labels, np.float64), places)


def form_of(text: str, where: str) -> tuple[Form, bool]:
    """(function (row, where) -> (text, text, label), whether this first row names columns)."""
    if text.lstrip().startswith("{"):
        return from_json, False
    if "\t" in text:
        split = tab_columns
    elif "||" in text:
        split = bar_columns
    else:
        split = comma_columns
    columns = split(text)
    names = [column.strip().lower() for column in columns]
    picked = [next((names.index(name) for name in known if name in names), None) for known in (FIRST, SECOND, LABEL)]
    if None not in picked:
        return by_columns(split, picked, range(len(columns), len(columns) + 1)), True
    if split is tab_columns and len(columns) >= 7:
        return by_columns(split, (5, 6, 4), range(7, 10)), False
    if len(columns) in (3, 4):
        return by_columns(split, range(len(columns))[-3:], range(len(columns), len(columns) + 1)), False
    raise DataError(f"{where}: {len(columns)} columns; write two texts and a label, separated by tabs")


def by_columns(split: Columns, picked: Sequence[int], wanted: range) -> Form:
    """The form whose texts and label are the `picked` columns of rows that have one of the `wanted` widths."""

    def form(text, where):
        columns = split(text)
        if len(columns) not in wanted:
            raise DataError(f"{where}: {len(columns)} columns instead of {wanted[0]}; correct or remove the line")
        return tuple(columns[index] for index in picked)

    return form


def from_json(text: str, where: str) -> tuple:
    """Texts and label of a JSON line."""
    row = json_object(text, where, '{"sentence1": ..., "sentence2": ..., "label": ...}')
    names = [next((name for name in known if name in row), None) for known in (FIRST, SECOND, LABEL)]
    if None in names:
        lost = ("sentence1", "sentence2", "label")[names.index(None)]
        raise DataError(f"{where}: the row has no {lost}; take a split whose labels are published")
    return tuple(row[name] for name in names)


def tab_columns(text: str) -> list[str]:
    """Columns that tabs part."""
    return text.split("\t")


def bar_columns(text: str) -> list[str]:
    """Columns that two bars part."""
    return text.split("||")


def comma_columns(text: str) -> list[str]:
    """Columns of comma-separated values, which may be quoted."""
    return cells(text)


def checked(first: object, second: object, label: object, where: str) -> tuple[str, str, float]:
    """Both texts, stripped and not empty, and the label as a number."""
    for text in (first, second):
        if not isinstance(text, str) or is_blank(text):
            raise DataError(f"{where}: a text is {shorten(text)}; write two texts and a label")
    try:
        value = float(label) if not isinstance(label, bool) else math.nan
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        shown = json.dumps(label, ensure_ascii=False, default=str)
        raise DataError(f"{where}: the label is {shown[:60]} and not a number; correct or remove the line")
    return first.strip(), second.strip(), value

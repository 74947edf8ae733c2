"""What whole searches of an index take, from a sentence or a vector to hits, with filters and pages, in turns."""

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np

from ...errors import DataError
from ...pages.markdown import markdown
from ...search.index import Index, open_index
from ...search.query.hits import moment
from ...search.store.part import Part
from ...search.store.snapshot import open_snapshot

IDEOGRAPHS = range(0x4E00, 0x4E00 + 3000)
CHARACTERS = 10
"""Of a sentence"""
NOISE = 0.5
"""Length of what is added to a row's vector to make a question of it"""
WARM = 5
"""Rounds before those that count"""
FIELDS = ("folder", "tag", "date", "size")
K, LATE = 20, 50
"""Hits of a page, and a late page"""


@dataclass
class WholeSearches:
    """What was measured. rows: of the index; opening: seconds; milliseconds: {what: of single searches}."""

    rows: int
    opening: float
    milliseconds: dict[str, list[float]] = field(default_factory=dict)

    def timed(self, what: str, work: Callable[[], Any]) -> Any:
        """The result of a piece of work, its time noted."""
        began = time.perf_counter()
        result = work()
        self.milliseconds.setdefault(what, []).append(1000 * (time.perf_counter() - began))
        return result

    def content(self) -> dict[str, Any]:
        """All of it as JSON has it."""
        return {"rows": self.rows, "opening_seconds": self.opening, "milliseconds": self.milliseconds}


def measure(
    folder: str | os.PathLike, model: str | None, precisions: Sequence[str], rounds: int, note: Callable[[str], object]
) -> WholeSearches:
    """Rounds in which everything is asked once. precisions: what sentences are encoded in; none: vectors alone.

    Filters are those that a row which is drawn would be found by. DataError for an index without rows.
    """
    part = open_snapshot(folder).part("image")
    if not len(part):
        raise DataError(f"{folder} has no pictures, so there is nothing to measure; add some")
    began = time.perf_counter()
    index = open_index(folder)
    found = WholeSearches(len(index), time.perf_counter() - began)
    asked = {precision: open_index(folder, model, precision=precision) for precision in precisions}
    for precision, one in asked.items():
        note(f"loading the model in {precision}")
        one.model.engines.make("text")
    rng = np.random.default_rng(0)
    for number in range(-WARM, rounds):
        note(f"round {number + 1} of {rounds}")
        one_round(found if number >= 0 else WholeSearches(0, 0.0), index, asked, part, rng)
    return found


def one_round(
    found: WholeSearches, index: Index, asked: dict[str, Index], part: Part, rng: np.random.Generator
) -> None:
    """Ask everything once, each time something new."""
    for precision, one in asked.items():
        text, other = sentence(rng), sentence(rng)
        found.timed(f"text, {precision}", partial(one.search, text))
        found.timed(f"of it encoding, {precision}", partial(one.model.encode_text, other))
    found.timed("vector", partial(index.search, vector=question(part, rng)))
    for name, text in filters(part, rng).items():
        for state in ("new", "known"):
            vector = question(part, rng)
            found.timed(f"vector, {name} filter, {state}", partial(index.search, vector=vector, filter=text))
    for page in (1, LATE):
        vector = question(part, rng)
        for look in ("first look", "again"):
            found.timed(f"page {page}, {look}", partial(index.search, vector=vector, k=K, page=page))


def sentence(rng: np.random.Generator) -> str:
    """Ideographs that nobody asked for before."""
    return "".join(chr(code) for code in rng.choice(IDEOGRAPHS, CHARACTERS))


def question(part: Part, rng: np.random.Generator) -> np.ndarray:
    """float32 [D]: a vector near that of a row."""
    vector = part.vectors([rng.choice(part.live_ids())])[0]
    noise = rng.standard_normal(len(vector)).astype(np.float32)
    return vector + NOISE * noise / np.linalg.norm(noise)


def filters(part: Part, rng: np.random.Generator) -> dict[str, str]:
    """{field: a filter that a row which is drawn would be found by}, without fields that none of a few rows has."""
    found: dict[str, str] = {}
    for row in part.take(rng.choice(part.live_ids(), 8), ["folder", "tags", "date", "size"]).to_pylist():
        if row["folder"]:
            found.setdefault("folder", f"folder:{quotation(row['folder'])}")
        if row["tags"]:
            found.setdefault("tag", f"tag:{quotation(row['tags'][0])}")
        if row["date"] is not None and (day := moment(row["date"])):
            found.setdefault("date", f"date:{day:%Y-%m}")
        if row["size"]:
            found.setdefault("size", f"size<={row['size']}")
    return {name: found[name] for name in FIELDS if name in found}


def quotation(text: str) -> str:
    """A text as a filter takes it."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def table(found: WholeSearches) -> str:
    """The figures as a Markdown table, and the opening above it."""
    rows = [
        (what, *(f"{np.percentile(times, share):.1f}" for share in (50, 95)))
        for what, times in found.milliseconds.items()
    ]
    head = f"{found.rows:,} rows, opened in {found.opening:.2f} s"
    return f"{head}\n\n{markdown(('whole search', 'p50, ms', 'p95, ms'), rows)}"

"""What a data check found: a dataclass, its text for a terminal, its JSON."""

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...files.json_files import write_json
from ...files.marks import MARK, marked
from ...messages import counted, plain

SHOWN = 20


@dataclass
class BadRow:
    """One row that cannot be used. near: files of nearly the name of one that is missing, likely ones first."""

    where: str
    cause: str
    reason: str
    fix: str
    near: list[str] = field(default_factory=list)


@dataclass
class Repeats:
    """How many values repeat an earlier one, and examples as (later place, earlier place)."""

    count: int = 0
    examples: list[tuple[str, str]] = field(default_factory=list)


@dataclass
class CheckReport:
    """Counts of one pass over a source; every `spread` has count, min, mean, median, p95 and max.

    Rows whose id has another picture are bad, though their images and texts are counted as those of others are.
    """

    source: str
    rows: int = 0
    checked: int = 0
    samples: int = 0
    texts: int = 0
    images: int = 0
    image_contents: int = 0
    bad: int = 0
    causes: dict[str, int] = field(default_factory=dict)
    bad_rows: list[BadRow] = field(default_factory=list)
    same_text: Repeats = field(default_factory=Repeats)
    same_pair: Repeats = field(default_factory=Repeats)
    same_image: Repeats = field(default_factory=Repeats)
    one_image_many_ids: Repeats = field(default_factory=Repeats)
    one_id_many_images: Repeats = field(default_factory=Repeats)
    rows_without_file: int = 0
    rows_elsewhere: int = 0
    files_without_row: int = 0
    unused_files: list[str] = field(default_factory=list)
    broken_texts: int = 0
    characters: dict = field(default_factory=dict)
    tokens: dict = field(default_factory=dict)
    max_length: int = 0
    truncated: int = 0
    image_width: dict = field(default_factory=dict)
    image_height: dict = field(default_factory=dict)
    small_images: int = 0
    small_side: int = 0
    box_rows: int = 0
    boxes: int = 0
    boxes_outside: int = 0
    boxes_empty: int = 0

    @property
    def truncation_rate(self) -> float:
        """Share of the texts, in percent, that have more tokens than max_length; 0 without a vocabulary."""
        return 100 * self.truncated / max(self.texts, 1)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON-able dictionary."""
        return {MARK: marked("data check"), **dataclasses.asdict(self), "truncation_rate": self.truncation_rate}

    def write(self, path: str | os.PathLike) -> None:
        """Write the JSON, as a whole or not at all."""
        write_json(path, self.to_dict())

    def __str__(self):
        return "\n".join(map(plain, [*self._counts(), *self._repeats(), *self._lengths(), *self._bad()]))

    def _counts(self):
        part = "" if self.checked == self.rows else f" (the first {self.checked:,} of {self.rows:,})"
        yield f"rows             {self.checked:,}{part}: {self.samples:,} good, {self.bad:,} bad"
        yield f"images           {counted(self.images, 'id')}, {self.image_contents:,} distinct contents"
        distinct = f"{self.texts:,}, {self.texts - self.same_text.count:,} distinct"
        yield f"texts            {distinct if self.texts else 'none: pictures alone'}"

    def _repeats(self):
        for title, repeats in (
            ("same text", self.same_text),
            ("same image", self.same_image),
            ("same pair", self.same_pair),
            ("ids of an image", self.one_image_many_ids),
            ("images of an id", self.one_id_many_images),
        ):
            if repeats.count:
                later, earlier = repeats.examples[0]
                fix = one_id(earlier) if repeats is self.one_image_many_ids else ""
                yield f"{title:<17}{counted(repeats.count, *REPEATS[title])}; for example {later}, as {earlier}{fix}"
        if self.rows_without_file:
            rows = counted(self.rows_without_file, "row names", "rows name")
            elsewhere = f"; {self.rows_elsewhere:,} of these lie elsewhere, or are spelt otherwise: see below"
            where = elsewhere if self.rows_elsewhere else "; paths begin at the folder of the table"
            yield f"orphan rows      {rows} an image file that is not there{where}"
        if self.files_without_row:
            example = self.unused_files[0]
            files = counted(self.files_without_row, "image file has", "image files have")
            more = "; --json FILE names more of them" if self.files_without_row > 1 else ""
            yield f"orphan files     {files} no row, for example {example}{more}"

    def _lengths(self):
        if self.broken_texts:
            found = counted(self.broken_texts, *BROKEN)
            yield f"line breaks      {found}; give each caption a row, where a cell holds several"
        if self.texts:
            yield f"characters       {spread_text(self.characters)}"
        if self.max_length and self.texts:
            yield f"tokens           {spread_text(self.tokens)}"
            share = f" ({self.truncation_rate:.2f} %) "
            over = counted(self.truncated, f"text{share}has", f"texts{share}have")
            yield f"truncated        {over} over {self.max_length} tokens"
        if self.image_width:
            yield f"image width      {spread_text(self.image_width)}"
            yield f"image height     {spread_text(self.image_height)}"
            enlarged = ", which the released model enlarges" if self.small_images else ""
            yield f"small images     {self.small_images:,} with a side under {self.small_side} pixels{enlarged}"

        if self.box_rows:
            found = f"boxes            {self.boxes:,} in {counted(self.box_rows, 'row')}"
            outside = (
                counted(self.boxes_outside, "leaves its image, ", "leave their image, ") if self.image_width else ""
            )
            yield f"{found}: {outside}{counted(self.boxes_empty, 'has no area', 'have no area')}"

    def _bad(self):
        if not self.bad:
            return
        yield ""
        yield f"{counted(self.bad, 'bad row')}:"
        for cause, count in sorted(self.causes.items(), key=lambda item: (-item[1], item[0])):
            yield f"  {count:>9,}  {cause}"
        for row in self.bad_rows[:SHOWN]:
            yield f"{row.where}: {row.reason}; {row.fix}"
        if self.bad > SHOWN:
            yield f"... and {self.bad - SHOWN:,} more; --json FILE lists all of them"
        yield LEFT_OUT


LEFT_OUT = "bad rows are left out by split, vocab, shard, encode, index and training; eval stops at them"

TABLES = ".csv", ".jsonl", ".ndjson"
BROKEN = "text has one, and counts as one caption", "texts have one, and count as one caption each"
REPEATS = {
    "same text": ("text repeats an earlier one", "texts repeat an earlier one"),
    "same image": (
        "row repeats the bytes of an earlier image, as a further caption of it does",
        "rows repeat the bytes of an earlier image, as further captions of it do",
    ),
    "same pair": ("pair of image and text repeats an earlier one", "pairs of image and text repeat an earlier one"),
    "ids of an image": (
        "image has several ids, which makes false negatives",
        "images have several ids, which makes false negatives",
    ),
    "images of an id": (
        "id has several images, which makes false positives",
        "ids have several images, which makes false positives",
    ),
}


def one_id(where: str) -> str:
    """What to do about several ids of an image of the row at `where`: those of a table may number its rows."""
    path = where.rpartition(":")[0]
    without = f", or take the path as the id by '{{path: {path}, columns: {{id: }}}}'"
    return f"; give its rows one id{without if path.lower().endswith(TABLES) else ''}"


def spread_text(spread: Mapping[str, float]) -> str:
    """One line of a spread."""
    if not spread["count"]:
        return "none"
    return (
        f"min {spread['min']:,}, median {spread['median']:,}, mean {spread['mean']:.1f}, "
        f"95 % up to {spread['p95']:,}, max {spread['max']:,}"
    )

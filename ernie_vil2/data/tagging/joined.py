"""What became of detections that were joined to a source, as a text for a terminal."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from ...messages import counted

SHOWN = 3


@dataclass
class Joined:
    """What was done with the detections: numbers, the first few orphans on both sides, and the most frequent tags.

    field: `tags` or `boxes`. filled: images that have some; empty: those with none, `tiny` of them because what was
    left of their boxes lies in [0, 1] and would be read as fractions; written: tags or boxes of them all.
    """

    field: str
    rows: int
    images: int
    bad_rows: int
    detections: int
    bad_entries: list
    broken: int
    filled: int
    empty: int
    tiny: int
    written: int
    missing: list
    missing_count: int
    unknown: list
    unknown_count: int
    tags: Counter

    def __str__(self):
        looked_at = self.images - self.missing_count + self.unknown_count
        name = {"tags": "tagged", "boxes": "with boxes"}[self.field]
        lines = [
            f"source           {counted(self.rows, 'row')}, {counted(self.images, 'image')}"
            + bad(self.bad_rows, "bad rows"),
            f"detections       {self.detections:,} of {counted(looked_at, 'image')}"
            + bad(len(self.bad_entries), "bad entries")
            + bad(self.broken, "images that the detector could not read"),
            f"{name:<17}{counted(self.filled, 'image')}, {self.written / max(self.filled, 1):.1f} {self.field} each"
            + bad(self.empty - self.tiny, "with detections, but none that passed")
            + bad(self.tiny, "written without: what is left of them lies in [0, 1] and would be read as fractions"),
            f"no detections    {counted(self.missing_count, 'image')} of the source" + examples(self.missing),
            f"not in source    {counted(self.unknown_count, 'image')} of the detections" + examples(self.unknown),
        ]
        if self.field == "tags":
            often = ", ".join(f"{tag} {count:,}" for tag, count in self.tags.most_common(10))
            lines.append(f"tags             {len(self.tags):,} different ones: {often}")
        return "\n".join([*lines, *(f"  {error}" for error in self.bad_entries[:SHOWN])])


def bad(count: int, what: str) -> str:
    return f", {count:,} {what}" if count else ""


def examples(ids: Sequence[str]) -> str:
    return f": {', '.join(ids)}" + (", ..." if len(ids) == SHOWN else "") if ids else ""

"""Small segments folded into larger ones, so that an index that grows row by row has few of them."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from .columns import IMAGE_SCHEMA, SCHEMAS
from .manifest import SIDES, Segment
from .part import Known, numbers
from .segment_files import SegmentFiles
from .snapshot import CHANGED, NAMES, ROWS, SEGMENTS, VECTORS
from .tables import MappedTable, Rows
from .vectors_file import VectorsFile

FAN = 8
"""Segments of one tier that become one of the next"""
SMALL = 1024
"""Rows up to which a segment is of the lowest tier; one of the next has up to FAN times as many"""
BLOCK = 16384


def tier(rows: int) -> int:
    """The class of sizes of a segment."""
    level = 0
    while rows > SMALL:
        rows, level = rows // FAN, level + 1
    return level


def first_to_fold(rows: Sequence[int]) -> int:
    """Where the segments begin, up to the last one, that are to be one. rows: of each segment.

    Fewer than FAN of a tier, and none behind a smaller one, are left. So their number grows as the logarithm of the
    rows, and a row is written again about once a tier.
    """
    start, total = len(rows) - 1, rows[-1]
    while start > 0:
        level = tier(total)
        first = start
        while first and tier(rows[first - 1]) < level:
            first -= 1
        smaller = first
        while first and tier(rows[first - 1]) == level:
            first -= 1
        if smaller - first + 1 < FAN:
            first = smaller
        if first == start:
            break
        start, total = first, sum(rows[first:])
    return start


def fold(
    folder: Path, segments: Sequence[Segment], width: int, number: int, alive: Mapping[str, Known] | None = None
) -> Segment:
    """Neighbouring segments as one: their rows in order, with the metadata that newer ones of them changed.

    alive: by side, the rows that are kept, where the segments are all there are; by default all.
    """
    made = SegmentFiles(folder, number)
    try:
        places = [folder / SEGMENTS / segment.name for segment in segments]
        changed = [
            MappedTable(place / CHANGED, IMAGE_SCHEMA)
            for place, segment in zip(places, segments, strict=True)
            if segment.rows.get("changed")
        ]
        newest = Newest([mapped.table for mapped in changed])
        for side in SIDES:
            for place, segment in zip(places, segments, strict=True):
                if count := segment.rows.get(NAMES[side]):
                    for table, vectors in blocks_of(place, side, count, width):
                        if alive is not None and not (kept := alive[side](numbers(table.column("id")))).all():
                            table, vectors = table.filter(pa.array(kept)), vectors[kept]
                        if len(vectors):
                            made.append(side, newest.applied(table) if side == "image" else table, vectors)
        for table in newest.left() if alive is None else ():
            made.change(table)
        return made.seal()
    except BaseException:
        made.discard()
        raise


def blocks_of(place: Path, side: str, count: int, width: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Rows and vectors, float16 [n, D], of a side of a segment, block by block."""
    mapped = MappedTable(place / ROWS[side], SCHEMAS[side])
    for first, vectors in VectorsFile(place / VECTORS[side], count, width).blocks(BLOCK):
        yield mapped.table.slice(first, len(vectors)), vectors
        mapped.release()


class Newest:
    """The last of several metadata of one picture. tables: in the order in which they were written."""

    def __init__(self, tables: Sequence[pa.Table]) -> None:
        self.rows = Rows(tables)
        ids = np.concatenate([np.empty(0, np.int64), *(numbers(table.column("id")) for table in tables)])
        self.ids, back = np.unique(ids[::-1], return_index=True)
        self.places = len(ids) - 1 - back
        self.used = np.zeros(len(self.ids), bool)

    def applied(self, table: pa.Table) -> pa.Table:
        """A table of pictures with the newest metadata that is known here."""
        own = numbers(table.column("id"))
        places = np.minimum(np.searchsorted(self.ids, own), max(len(self.ids) - 1, 0))
        found = self.ids[places] == own if len(self.ids) else np.zeros(len(own), bool)
        if not found.any():
            return table
        self.used[places[found]] = True
        newer = self.rows.take(self.places[places[found]], None, IMAGE_SCHEMA)
        order = np.arange(len(own))
        order[found] = len(own) + np.arange(int(found.sum()))
        return Rows([table, newer]).take(order, None, IMAGE_SCHEMA)

    def left(self) -> list[pa.Table]:
        """Metadata that no table got, of ids that older segments have, ascending, in blocks."""
        rows = self.places[~self.used]
        return [self.rows.take(rows[first : first + BLOCK], None, IMAGE_SCHEMA) for first in range(0, len(rows), BLOCK)]

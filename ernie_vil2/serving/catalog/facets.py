"""What the pictures of an index can be narrowed by: tags, folders, sources, dates, sizes, with how many have each."""

import os
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...search.query.hits import moment
from ...search.query.view import View
from .sources import source_name

MOST = 100
"""Values of a facet that are told, those that most pictures have"""


@dataclass(frozen=True)
class Facets:
    """tags, folders, sources: [{value, count}], the most frequent first. dates: {first, last}, None where no picture
    has one. videos, pictures: whether there are frames of videos, and pictures. widest, highest: pixels, 0 where none
    is known."""

    tags: list[dict[str, Any]]
    folders: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    dates: dict[str, str] | None
    videos: bool
    pictures: bool
    widest: int
    highest: int


def facets_of(view: View) -> Facets:
    """The Facets of all living pictures."""
    part = view.part("image")
    columns = ["root", "folder", "tags", "date", "time", "width", "height"]
    table = part.table.select(columns)
    table = table if part.live.all() else table.filter(pa.array(part.live))
    videos = len(table) - table["time"].null_count
    roots = view.snapshot.manifest.roots
    facets = Facets(
        tags=counted(tags_of(table["tags"])),
        folders=[found for found in counted(table["folder"]) if not os.path.isabs(found["value"])],
        sources=[
            {"value": str(number), "name": source_name(roots.get(int(number), {})), "count": count}
            for number, count in ((item["value"], item["count"]) for item in counted(table["root"]))
        ],
        dates=span_of(table["date"]),
        videos=videos > 0,
        pictures=videos < len(table),
        widest=pc.max(table["width"]).as_py() or 0,
        highest=pc.max(table["height"]).as_py() or 0,
    )
    part.release()
    return facets


def tags_of(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """All tags of all pictures, one after the other."""
    return pa.chunked_array([chunk.flatten() for chunk in column.chunks], pa.string())


def counted(column: pa.ChunkedArray) -> list[dict[str, Any]]:
    """[{value, count}] of the most frequent values; of equally frequent ones the least first."""
    found = pc.value_counts(column)
    counts, values = found.field("counts").to_numpy(), found.field("values")
    if len(counts) > MOST:
        least = np.partition(counts, len(counts) - MOST)[len(counts) - MOST]
        kept = np.flatnonzero(counts >= least)
        counts, values = counts[kept], values.take(pa.array(kept))
    pairs = sorted(zip(values.to_pylist(), counts.tolist(), strict=True), key=lambda pair: (-pair[1], pair[0]))
    return [{"value": value, "count": count} for value, count in pairs[:MOST]]


def span_of(column: pa.ChunkedArray) -> dict[str, str] | None:
    """{first, last}: the days of the first and the last date."""
    ends = pc.min_max(column).as_py()
    days = {name: moment(ends[end]) for name, end in (("first", "min"), ("last", "max")) if ends[end] is not None}
    known = {name: day.date().isoformat() for name, day in days.items() if day is not None}
    return known if len(known) == 2 else None

"""What finds neighbours of an index, after a scan: made, or brought up to date where enough has changed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from ...keys import generator
from ..neighbours.build import build_neighbours, outdated, update_neighbours
from ..neighbours.choice import AUTO
from ..store.manifest import SIDES
from ..store.part import Part
from ..store.writer import Writer

ASKED = 256
"""Vectors of the other side for which a search is tuned"""


def renew_neighbours(
    writer: Writer, kind: str = "", memory: int | None = None, progress: Callable[[str], object] | None = None
) -> list[str]:
    """Make what finds neighbours in an index that was committed, where that is needed, and commit it; a line for each
    side says which kind it is and why.

    kind: of `build_neighbours`, by default the one that was asked for before; memory: bytes that it may take, the same
    way. Raises what `build_neighbours` does.
    """
    lines = []
    for side in SIDES:
        part, record = writer.snapshot.part(side), writer.manifest.neighbours.get(side)
        if not len(part):
            writer.set_neighbours(side, None)
            continue
        asked = {"kind": AUTO, "memory": None, **(record or {}).get("asked", {})}
        wanted = {"kind": kind or asked["kind"], "memory": memory or asked["memory"]}
        work = "build" if wanted != asked else outdated(part, record)
        if work:
            others = some_vectors(writer, next(other for other in SIDES if other != side))
            folder = writer.snapshot.neighbours_folder(side)

            def make(part: Part, place: Path, work=work, record=record, wanted=wanted, others=others, folder=folder):
                if work == "update":
                    made = update_neighbours(part, place, record, folder, progress, others)
                else:
                    made = build_neighbours(part, place, **wanted, progress=progress, others=others)
                return {**made, "asked": wanted}

            writer.set_neighbours(side, make)
        lines.append(line_of(side, writer.manifest.neighbours[side]))
    writer.commit()
    return lines


def some_vectors(writer: Writer, side: str) -> np.ndarray | None:
    """float32 [n, D]: vectors of a side, drawn, None where it has none."""
    part = writer.snapshot.part(side)
    if not len(part):
        return None
    count = min(len(part), ASKED)
    return part.vectors(np.sort(generator("asked", side).choice(part.live_ids(), count, replace=False)))


def line_of(side: str, record: dict[str, Any]) -> str:
    """What finds the neighbours of a side, why, and how much of an exact search it finds."""
    recall = record["recall"]
    found = "" if record["kind"] == "flat" else f"; it finds {min(recall['near'], recall['far']):.1%} of the nearest "
    return f"neighbours of {side}s: {record['reason']}" + (f"{found}{recall['at']}" if found else "")

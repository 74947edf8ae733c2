"""Whether an index is what its manifest says: checksums, columns, ids, vectors, and what rows say of each other."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...files.digests import sha256_of
from ...messages import counted
from .manifest import SIDES
from .part import Part, numbers
from .snapshot import NAMES, SEGMENTS, Snapshot, is_unit, open_snapshot

MEND = "copy the index again, or build it anew"
BLOCK = 16384
Looker = Callable[[Snapshot, str], list[str]]
"""Looks at the neighbours of a side; returns what is wrong with them"""


def check(folder: Path, whole: bool = True, neighbours: Looker | None = None) -> list[str]:
    """What is wrong with an index, as sentences; [] where nothing is. DataError where a folder is no index.

    whole: read all files and compare their checksums, and look at all vectors; otherwise at sizes, ids, and some
    vectors. neighbours: looks at those of a side, where the rest has no fault.
    """
    snapshot = open_snapshot(folder)
    found = [*(file_faults(snapshot) if whole else ()), *id_faults(snapshot)]
    if not found:
        found.extend(row_faults(snapshot))
        for side in SIDES if whole else ():
            found.extend(vector_faults(snapshot, snapshot.part(side)))
    if not found and neighbours is not None:
        for side in SIDES:
            found.extend(neighbours(snapshot, side))
    return found


def file_faults(snapshot: Snapshot) -> Iterator[str]:
    """Files whose content is not what was written."""
    manifest, folder = snapshot.manifest, snapshot.folder
    files = {
        folder / SEGMENTS / segment.name / name: record["sha256"]
        for segment in manifest.segments
        for name, record in segment.files.items()
    }
    if manifest.removed:
        files[folder / manifest.removed.file] = manifest.removed.sha256
    for path, wanted in files.items():
        if sha256_of(path) != wanted:
            yield f"{path} does not have its checksum; {MEND}"


def id_faults(snapshot: Snapshot) -> Iterator[str]:
    """Ids that are out of order, given twice, never given, or of no row; and text that is none."""
    known = snapshot.manifest.next_ids
    for side in SIDES:
        part = snapshot.part(side)
        try:
            part.table.validate(full=True)
        except (pa.ArrowException, ValueError) as error:
            yield f"{snapshot.folder}: the columns of its {NAMES[side]} are damaged ({error}); {MEND}"
        own = part.own_ids
        if len(own) and (np.any(np.diff(own) <= 0) or own[0] < 0 or own[-1] >= known[side]):
            yield f"{snapshot.folder}: the ids of its {NAMES[side]} are not in order; {MEND}"
        if not np.isin(part.ids[len(own) :], own).all():
            yield f"{snapshot.folder}: metadata was changed of {NAMES[side]} that it does not have; {MEND}"
    removed = snapshot.removed
    if len(removed) and (np.any(np.diff(removed) <= 0) or removed[0] < 0 or removed[-1] >= known["image"]):
        yield f"{snapshot.folder}: the ids of removed pictures are not in order; {MEND}"


def row_faults(snapshot: Snapshot) -> Iterator[str]:
    """Pictures whose root or texts are not there, and two living ones that are one file."""
    images, folder = snapshot.images, snapshot.folder
    living = images.table.select(["id", "root", "key", "texts"]).filter(pa.array(images.live))
    places = set(pc.unique(living.column("root")).to_pylist())
    if strange := places - set(snapshot.manifest.roots):
        yield f"{folder}: pictures are of the root {min(strange)}, which its manifest does not name; {MEND}"
    texts = np.unique(numbers(pc.list_flatten(living.column("texts"))))
    if len(lost := np.setdiff1d(texts, snapshot.texts.own_ids)):
        yield f"{folder}: pictures have the text {lost[0]}, which is not there; {MEND}"
    counts = living.group_by(["root", "key"]).aggregate([("id", "count"), ("id", "min"), ("id", "max")])
    twice = counts.filter(pc.greater(counts.column("id_count"), 1))
    if twice.num_rows:
        one, other = (twice.column(f"id_{name}")[0].as_py() for name in ("min", "max"))
        yield (
            f"{folder}: {counted(twice.num_rows, 'file has', 'files have')} several rows, the first one {one} and "
            f"{other}; remove one of each"
        )
    images.release()


def vector_faults(snapshot: Snapshot, part: Part) -> Iterator[str]:
    """Vectors that are not finite, or not of length 1."""
    bad, first = 0, None
    for ids, vectors in part.blocks(BLOCK):
        wrong = ids[~is_unit(vectors)]
        bad, first = bad + len(wrong), wrong[0] if first is None and len(wrong) else first
    if bad:
        what = NAMES[part.side]
        yield f"{snapshot.folder}: vectors of {bad:,} {what} are not of length 1, the first that of {first}; {MEND}"

"""What an index holds, in figures: rows, segments, bytes on the disk, where it comes from."""

import os
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from .manifest import FORMAT, SIDES
from .snapshot import NEIGHBOURS, Snapshot


def summary(snapshot: Snapshot) -> dict[str, Any]:
    """Figures and records of an index, of what JSON knows.

    rows: {side: {living, gone}}, where a text is gone that no living picture has; bytes: of rows (`metadata`),
    `vectors`, `neighbours`, and removed ids; roots: as in the manifest, with the `pictures` of each that are alive.
    """
    manifest = snapshot.manifest
    parts = {side: snapshot.part(side) for side in SIDES}
    files = [(name, record["bytes"]) for segment in manifest.segments for name, record in segment.files.items()]
    images = parts["image"]
    places = pc.value_counts(images.table.column("root").filter(pa.array(images.live))).to_pylist()
    pictures = {place["values"]: place["counts"] for place in places}
    return {
        "folder": os.fspath(snapshot.folder),
        "format": FORMAT,
        "sequence": manifest.sequence,
        "width": manifest.width,
        "rows": {side: {"living": len(part), "gone": int(part.starts[-1]) - len(part)} for side, part in parts.items()},
        "segments": [{"name": segment.name, **segment.rows} for segment in manifest.segments],
        "bytes": {
            "metadata": sum(size for name, size in files if name.endswith(".arrow")),
            "vectors": sum(size for name, size in files if not name.endswith(".arrow")),
            "neighbours": size_of(snapshot.folder / NEIGHBOURS),
            "removed ids": manifest.removed.bytes if manifest.removed else 0,
        },
        "model": manifest.model,
        "engines": manifest.engines,
        "pixels": manifest.pixels,
        "roots": {number: {**root, "pictures": pictures.get(number, 0)} for number, root in manifest.roots.items()},
        "neighbours": manifest.neighbours,
        "thresholds": manifest.thresholds,
    }


def size_of(folder: Path) -> int:
    """Bytes of all files below a folder; 0 where it is not there."""
    paths = [os.path.join(place, name) for place, _, names in os.walk(folder) for name in names]
    return sum(os.path.getsize(path) for path in paths)

"""The neighbours of a side as they were kept, opened for searching."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import DataError
from ...files.digests import sha256_of
from ..store.manifest import read_manifest
from ..store.snapshot import Snapshot
from .neighbours import Neighbours

if TYPE_CHECKING:
    import faiss

REMEDY = "build the index again, or copy it again"


def open_neighbours(snapshot: Snapshot, side: str) -> Neighbours:
    """The search in a side of an index: `image` or `text`; without kept neighbours all rows are compared one by one.

    They are compared, too, where a writer has taken the file away since the snapshot was made. DataError where the file
    is missing though it should be there, or is another than the manifest says.
    """
    record, part = snapshot.manifest.neighbours.get(side), snapshot.part(side)
    folder = snapshot.neighbours_folder(side)
    if record is None or folder is None:
        return Neighbours(part, None, {}, 0)
    try:
        index = read_index(folder, record)
    except DataError:
        if not is_replaced(snapshot):
            raise
        return Neighbours(part, None, {}, 0)
    return Neighbours(part, index, record["options"], record["bound"])


def is_replaced(snapshot: Snapshot) -> bool:
    """Whether an index has been written to since a snapshot of it was made."""
    try:
        return read_manifest(snapshot.folder).sequence != snapshot.manifest.sequence
    except DataError:
        return False


def read_index(folder: Path, record: Mapping[str, Any]) -> faiss.Index:
    """The FAISS index of a record. Its checksum is compared first: FAISS trusts what it reads."""
    import faiss

    ((name, facts),) = record["files"].items()
    path = folder / name
    try:
        right = path.stat().st_size == facts["bytes"] and sha256_of(path) == facts["sha256"]
    except OSError as error:
        raise DataError(f"{path}: {error.strerror or error}; {REMEDY}") from None
    if not right:
        raise DataError(f"{path} is damaged, for it is another file than was written; {REMEDY}")
    return faiss.read_index(str(path))

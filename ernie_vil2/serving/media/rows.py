"""What media need to know of a row of an index: where its picture lies, and which content that must have."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ...search.query.view import View
from ...search.scan.places import EMBEDDINGS, FILES, Place, place_of_root
from ...search.store.part import Part
from .missing import VECTOR, PictureMissing

COLUMNS = ("id", "root", "key", "path", "size", "mtime", "time", "digest")


@dataclass(frozen=True)
class PictureRow:
    """A picture, or a frame of a video, of an index. root: of the manifest; time: milliseconds into a video, None for a
    picture; rank: of one without a file, how many rows of its root stand before it; the others are as in `ImageRow`."""

    id: int
    root: Mapping[str, Any]
    key: str
    path: bytes
    size: int
    mtime: int
    time: int | None
    digest: bytes
    rank: int = 0

    @cached_property
    def origin(self) -> Place:
        """Where its root takes its rows from."""
        return place_of_root(self.root)

    @property
    def is_walked(self) -> bool:
        """Whether it lies in a folder in which no link is followed."""
        return self.origin.kind == FILES and not self.origin.follow

    @property
    def is_vector(self) -> bool:
        """Whether the index has its vector and nothing else."""
        return self.origin.kind == EMBEDDINGS or not self.digest

    @property
    def is_frame(self) -> bool:
        """Whether it is a frame of a video file."""
        return self.time is not None and bool(self.path)

    @property
    def location(self) -> bytes:
        """The absolute path of its file; empty where it has none."""
        return os.path.join(os.fsencode(self.origin.folder), self.path) if self.path else b""


def picture_rows(view: View, ids: list[int]) -> list[PictureRow]:
    """The rows of living ids, in their order; DataError for one that is not there."""
    roots = view.snapshot.manifest.roots
    part, found = view.part("image"), []
    own = cache(lambda root: ids_of(part, root))
    for row in part.take(ids, list(COLUMNS)).to_pylist():
        rank = 0 if row["path"] else int(np.searchsorted(own(row["root"]), row["id"]))
        found.append(PictureRow(**{**row, "root": roots[row["root"]]}, rank=rank))
    return found


def ids_of(part: Part, root: int) -> np.ndarray:
    """int64 [n], ascending: the living rows of a root."""
    same = pc.equal(part.table["root"], pa.scalar(root, pa.int32())).to_numpy()
    return np.sort(part.ids[same & part.live])


def shown_row(view: View, number: int) -> PictureRow:
    """The row of an id, of which there is more than a vector; PictureMissing where there is not."""
    (row,) = picture_rows(view, [number])
    if row.is_vector:
        raise PictureMissing(VECTOR)
    return row

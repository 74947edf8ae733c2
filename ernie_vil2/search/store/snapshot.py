"""An index as it was at one moment: later writers do not change what it shows."""

import os
from functools import cached_property
from pathlib import Path

import numpy as np

from ...errors import DataError, advice
from ...files.digests import sha256_of
from .columns import IMAGE_SCHEMA, SCHEMAS
from .manifest import SIDES, Manifest, Segment, read_manifest
from .part import Known, Part, mentioned
from .tables import MappedTable
from .vectors_file import VALUE, VectorsFile

SEGMENTS, NEIGHBOURS = "segments", "neighbours"
VECTORS = {"image": "images.f16", "text": "texts.f16"}
ROWS = {"image": "images.arrow", "text": "texts.arrow"}
CHANGED = "changed.arrow"
NAMES = {"image": "images", "text": "texts"}
"""The part of a segment by side"""
SAMPLE = 8
"""Vectors of a side that are looked at when an index is opened"""
NORM = 2e-3
"""By how much the norm of a unit vector in half precision may differ from 1"""
RACES = 20
"""How often an index is opened anew that a writer replaces meanwhile"""


class Snapshot:
    """All that an index holds. Raises DataError for files that are missing, cut, or of another content.

    folder: of the index; manifest: as it was read.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest
        parts = {}
        for side in SIDES:
            own = [segment for segment in manifest.segments if segment.rows.get(NAMES[side])]
            tables = [self._table(segment, side) for segment in own]
            files = [self._vectors(segment, side) for segment in own]
            changed = [self._changed(segment) for segment in manifest.segments if segment.rows.get("changed")]
            parts[side] = tables, files, changed if side == "image" else []
        self.removed = removed_ids(folder, manifest)
        bound = manifest.next_ids
        self.images = Part("image", manifest.width, *parts["image"], bound["image"], Known(self.removed, True))
        self._texts = parts["text"], bound["text"]
        for side in SIDES:
            check_sample(folder, side, parts[side][1])

    @cached_property
    def texts(self) -> Part:
        """Captions and tags that living pictures have."""
        parts, bound = self._texts
        return Part("text", self.manifest.width, *parts, bound, Known(mentioned(self.images), False))

    def part(self, side: str) -> Part:
        """A side: `image` or `text`."""
        return {"image": lambda: self.images, "text": lambda: self.texts}[side]()

    def neighbours_folder(self, side: str) -> Path | None:
        """Where the files of a side's neighbours are; None where it has none."""
        place = self.manifest.neighbours.get(side, {}).get("place")
        return self.folder / NEIGHBOURS / place if place else None

    def _file(self, segment: Segment, name: str) -> Path:
        path = self.folder / SEGMENTS / segment.name / name
        if name not in segment.files:
            raise DataError(f"{self.folder}: its manifest does not name {path.name}; copy the index again")
        check_size(path, segment.files[name]["bytes"])
        return path

    def _table(self, segment: Segment, side: str) -> MappedTable:
        path = self._file(segment, ROWS[side])
        return counted(MappedTable(path, SCHEMAS[side]), segment.rows[NAMES[side]], path)

    def _changed(self, segment: Segment) -> MappedTable:
        path = self._file(segment, CHANGED)
        return counted(MappedTable(path, IMAGE_SCHEMA), segment.rows["changed"], path)

    def _vectors(self, segment: Segment, side: str) -> VectorsFile:
        path, rows = self._file(segment, VECTORS[side]), segment.rows[NAMES[side]]
        check_size(path, rows * self.manifest.width * VALUE.itemsize)
        return VectorsFile(path, rows, self.manifest.width)


def open_snapshot(folder: str | os.PathLike) -> Snapshot:
    """The index in a folder, opened without reading it; what a writer replaces meanwhile is looked for again.

    DataError says in one sentence why it cannot be used.
    """
    folder, last = Path(folder), None
    for _ in range(RACES):
        manifest = read_manifest(folder)
        try:
            return Snapshot(folder, manifest)
        except FileNotFoundError as error:
            missing = error.filename
            if manifest.sequence == last:
                break
            last = manifest.sequence
        except OSError as error:
            raise DataError(f"{error.filename or folder}: {error.strerror or error}; {advice(error)}") from None
    raise DataError(f"{missing} is missing, so the index is damaged; copy it again, or build it anew")


def counted(table: MappedTable, rows: int, path: Path) -> MappedTable:
    """A table, if it has as many rows as the manifest says."""
    if table.table.num_rows != rows:
        raise DataError(
            f"{path} has {table.table.num_rows:,} rows and not {rows:,}; copy the index again, or build it anew"
        )
    return table


def check_size(path: Path, size: int) -> None:
    """DataError where a file has another size; FileNotFoundError where it is not there."""
    found = os.stat(path).st_size
    if found != size:
        raise DataError(f"{path} has {found:,} bytes and not {size:,}; copy the index again, or build it anew")


def removed_ids(folder: Path, manifest: Manifest) -> np.ndarray:
    """The sorted ids of pictures that are gone, int64."""
    if manifest.removed is None:
        return np.empty(0, np.int64)
    path = folder / manifest.removed.file
    check_size(path, manifest.removed.bytes)
    if sha256_of(path) != manifest.removed.sha256:
        raise DataError(f"{path} does not have its checksum; copy the index again, or build it anew")
    return np.load(path, allow_pickle=False)


def check_sample(folder: Path, side: str, files: list[VectorsFile]) -> None:
    """DataError where some vectors of a side are not finite, or no unit vectors."""
    largest = max(files, key=lambda file: file.rows, default=None)
    if largest is None:
        return
    rows = np.unique(np.linspace(0, largest.rows - 1, SAMPLE).astype(np.int64))
    found = np.empty((len(rows), largest.width), VALUE)
    largest.take(rows, found)
    if not is_unit(found).all():
        raise DataError(
            f"{folder}: vectors of its {NAMES[side]} are not of length 1, so a file of them is damaged; copy the index "
            "again, or build it anew"
        )


def is_unit(vectors: np.ndarray) -> np.ndarray:
    """Which vectors [n, D] are finite and have length 1, as half precision has them: bool [n]."""
    values = vectors.astype(np.float32)
    squares = np.einsum("nd,nd->n", values, values)
    return np.abs(squares - 1) < 2 * NORM

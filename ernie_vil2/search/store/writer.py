"""The one writer of an index: what it adds, changes and removes is there with a commit as a whole, or not at all."""

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...errors import DataError
from ...files.atomic import clear, reported, sync_directory
from ...files.locks import exclusive
from .columns import SCHEMAS, ImageRow, TextRow, columns_of
from .folding import first_to_fold, fold
from .leftovers import clear_unnamed, sync_tree
from .manifest import MANIFEST, Manifest, Removed, read_manifest, write_manifest
from .part import Part
from .segment_files import SegmentFiles, SummedFile
from .snapshot import NEIGHBOURS, SEGMENTS, Snapshot, is_unit, open_snapshot
from .text_lookup import TextLookup
from .vectors_file import VALUE

LOCK = "lock"


@contextmanager
def open_writer(folder: str | os.PathLike, create: Manifest | None = None) -> Iterator["Writer"]:
    """The writer of an index, the only one while the block lasts; what a killed one left is cleared.

    create: what an index begins with where there is none. Raises DataError where another process writes, or the folder
    holds something else; CheckpointError where the system refuses.
    """
    folder = Path(folder)

    def refuse() -> None:
        raise DataError(f"another process is writing the index {folder}; wait for its end, then repeat the command")

    with ExitStack() as held:
        with reported(folder):
            if not (folder / MANIFEST).exists():
                begin(folder, create)
            held.enter_context(exclusive(folder / LOCK, refuse))
            clear(folder / MANIFEST, alone=True)
            if create is not None and not (folder / MANIFEST).exists():
                write_manifest(folder, create)
            writer = Writer(folder, open_snapshot(folder))
            clear_unnamed(folder, writer.manifest)
        try:
            yield writer
        finally:
            writer.discard()


def begin(folder: Path, create: Manifest | None) -> None:
    """Make the folder of an index that is not there yet; DataError where it may not, or something else is there."""
    if create is None:
        read_manifest(folder)  # which says that there is none
    check_empty(folder)
    folder.mkdir(parents=True, exist_ok=True)


def check_empty(folder: Path) -> None:
    """DataError where an index cannot begin in a folder, since something else is there."""
    if folder.is_dir():
        others = sorted({entry.name for entry in folder.iterdir()} - {LOCK, SEGMENTS, NEIGHBOURS})
        others = [name for name in others if not name.startswith(f"{MANIFEST}.")]
        if others:
            raise DataError(f"{folder} holds {others[0]} and is no index; give the name of a new folder")
    elif os.path.lexists(folder):
        raise DataError(f"{folder} is no folder; give the name of a new one for the index")


class Writer:
    """What an index gets until the next commit. snapshot: as it is since the last one.

    An error of the system gives up all since the last commit, and nothing else.
    """

    def __init__(self, folder: Path, snapshot: Snapshot) -> None:
        self.folder, self.snapshot = folder, snapshot
        self.number = snapshot.manifest.next_number
        self._begin()

    def _begin(self) -> None:
        self.manifest = self.snapshot.manifest
        self.pending: SegmentFiles | None = None
        self.gone: list[np.ndarray] = []
        self.lookup: TextLookup | None = None

    def root(self, spec: str, folder: str, kind: str) -> int:
        """The number of a place that rows come from, the same one for the same folder, or spec where it has none."""
        for number, root in self.manifest.roots.items():
            if root["kind"] == kind and (root["folder"] == folder if folder else root["spec"] == spec):
                return number
        number = max(self.manifest.roots, default=-1) + 1
        root = {"spec": spec, "folder": folder, "kind": kind}
        self.manifest = self.manifest.replaced(roots={**self.manifest.roots, number: root})
        return number

    def text_id(self, kind: str, text: str) -> int | None:
        """The id of a text that the index has already, or None."""
        if self.lookup is None:
            self.lookup = TextLookup(self.snapshot.texts)
        return self.lookup.find(kind, text)

    def add(self, rows: Sequence[ImageRow], vectors: np.ndarray) -> np.ndarray:
        """New pictures with their unit vectors [n, D]; their ids, int64 [n]. DataError for other vectors."""
        return self.add_table("image", columns_of("image", [0] * len(rows), rows), vectors)

    def add_texts(self, rows: Sequence[TextRow], vectors: np.ndarray) -> np.ndarray:
        """New texts with their unit vectors [n, D]; their ids, int64 [n]. DataError for other vectors."""
        return self.add_table("text", columns_of("text", [0] * len(rows), rows), vectors)

    def add_table(self, side: str, table: pa.Table, vectors: np.ndarray) -> np.ndarray:
        """New rows of a side as a table of its columns, whose ids do not matter; their ids, int64 [n]."""
        vectors = self._checked(vectors, table.num_rows)
        if not table.num_rows:
            return np.empty(0, np.int64)
        first = self.manifest.next_ids[side]
        ids = np.arange(first, first + table.num_rows)
        table = table.select(SCHEMAS[side].names).set_column(0, "id", pa.array(ids)).cast(SCHEMAS[side])
        with self.kept():
            self._segment().append(side, table, vectors)
        self.manifest = self.manifest.replaced(
            next_ids={**self.manifest.next_ids, side: first + table.num_rows},
        )
        if side == "text" and self.lookup is not None:
            self.lookup.note(table)
        return ids

    def change(self, ids: Sequence[int] | np.ndarray, rows: Sequence[ImageRow]) -> None:
        """Other metadata of pictures that the index has. DataError for an id that was never given."""
        ids = self._known(ids)
        if len(ids):
            with self.kept():
                self._segment().change(columns_of("image", ids.tolist(), rows))

    def remove(self, ids: Sequence[int] | np.ndarray) -> None:
        """Take pictures out; those that are gone already stay so. DataError for an id that was never given."""
        self.gone.append(self._known(ids))

    def set_threshold(self, name: str, record: dict[str, Any] | None) -> None:
        """Keep a threshold under a name; None takes it away."""
        others = {key: value for key, value in self.manifest.thresholds.items() if key != name}
        self.manifest = self.manifest.replaced(thresholds=others if record is None else {**others, name: record})

    def set_neighbours(self, side: str, make: Callable[[Part, Path], dict[str, Any]] | None) -> None:
        """Have the files of a side's neighbours made of what was last committed; None takes them away.

        make: given the part and an empty folder for its files, returns their record.
        """
        others = {key: value for key, value in self.manifest.neighbours.items() if key != side}
        if make is not None:
            with self.kept():
                number = self.new_number()
                place = self.folder / NEIGHBOURS / f"{number:07d}"
                place.mkdir(parents=True)
                try:
                    record = make(self.snapshot.part(side), place)
                    sync_tree(place)
                except BaseException:
                    shutil.rmtree(place, ignore_errors=True)
                    raise
                sync_directory(place.parent)
            others[side] = {**record, "place": place.name if any(place.iterdir()) else ""}
        self.manifest = self.manifest.replaced(neighbours=others)

    def commit(self) -> Snapshot:
        """Make all since the last commit durable, as one segment; the index as it is then."""
        with self.kept():
            segments = [self.pending.seal()] if self.pending else []
            manifest = self.manifest.replaced(
                segments=[*self.manifest.segments, *segments],
                removed=self._removed() if self.gone else self.manifest.removed,
            )
            if manifest != self.snapshot.manifest:
                self.publish(manifest)
            self._begin()
            self._fold()
        return self.snapshot

    def publish(self, manifest: Manifest) -> Snapshot:
        """Put a manifest in the place of the last one, and clear away what it does not name; the index as it is
        then."""
        self.pending = None  # from here on it may be named, though what comes next fails
        sync_directory(self.folder)  # what it names is there before it is
        write_manifest(self.folder, manifest.replaced(sequence=manifest.sequence + 1, next_number=self.number))
        self.snapshot = open_snapshot(self.folder)
        self._begin()
        clear_unnamed(self.folder, self.manifest)
        return self.snapshot

    def _fold(self) -> None:
        segments = self.manifest.segments
        if not segments or (first := first_to_fold([segment.total() for segment in segments])) == len(segments) - 1:
            return
        made = fold(self.folder, segments[first:], self.manifest.width, self.new_number())
        self.publish(self.manifest.replaced(segments=[*segments[:first], made]))

    def _removed(self) -> Removed | None:
        ids = np.unique(np.concatenate([self.snapshot.removed, *self.gone]))
        if len(ids) == len(self.snapshot.removed):
            return self.manifest.removed
        name = f"removed-{self.new_number():07d}.npy"
        file = SummedFile(self.folder / name)
        try:
            np.lib.format.write_array(file, ids, allow_pickle=False)
            return Removed(name, len(ids), **file.sealed())
        finally:
            file.leave()

    def _segment(self) -> SegmentFiles:
        if self.pending is None:
            self.pending = SegmentFiles(self.folder, self.new_number())
        return self.pending

    def new_number(self) -> int:
        """The number of a new segment, file of removed ids, or folder of neighbours."""
        self.number += 1
        return self.number - 1

    def _known(self, ids: Sequence[int] | np.ndarray) -> np.ndarray:
        ids = np.asarray(ids, np.int64).reshape(-1)
        if len(ids) and not 0 <= ids.min() <= ids.max() < self.manifest.next_ids["image"]:
            raise DataError(f"the index {self.folder} has no picture {ids.max()}; it may have been built anew")
        return ids

    def _checked(self, vectors: np.ndarray, rows: int) -> np.ndarray:
        if vectors.shape != (rows, self.manifest.width):
            raise DataError(
                f"vectors of shape {list(vectors.shape)} for {rows:,} rows do not fit the index {self.folder}, whose "
                f"vectors have {self.manifest.width} values; encode with the model of the index"
            )
        with np.errstate(over="ignore"):
            halves = vectors.astype(VALUE, copy=False)
        if not (unit := is_unit(halves)).all():
            raise DataError(f"vector {int(np.argmin(unit))} is not of length 1, so no index takes it; normalise it")
        return halves

    @contextmanager
    def kept(self) -> Iterator[None]:
        """Give up what is pending when something fails: a part of a batch is never committed."""
        try:
            with reported(self.folder, f"what was committed to {self.folder} is kept"):
                yield
        except BaseException:
            self.discard()
            raise

    def discard(self) -> None:
        """Forget all since the last commit."""
        if self.pending:
            self.pending.discard()
        self._begin()

"""What a scan does to an index: rows that come, move and go, committed every so often."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np

from ..store.columns import ImageRow, row_of
from ..store.writer import Writer
from .fault import Fault, Faults
from .known import EMPTY, Contents

COMMIT_ROWS, COMMIT_SECONDS = 4096, 30.0
"""Rows and seconds between two commits, whichever comes first: what a kill may cost"""
FIRST_SECONDS = 5.0
"""Seconds until the first commit of a scan, so that a new index can be searched soon; the next ones take twice as long,
up to those above"""
RECENT = 65536
"""Rows by whose contents the table of all contents is made anew"""
IDLE, DOUBTFUL, LOOSE, TAKEN, REMOVED = range(5)
"""What is known of a row: it is at its path; its path has another size or time; its path is gone, or has other content
now; a file that was read has it; it is out of the index"""


class Ledger:
    """The rows of an index while it is scanned.

    Rows that are added, changed or removed since the last commit are seen as if they were there. counts: files that
    were new, moved, edited, gone, ..., for the report.
    """

    def __init__(
        self,
        writer: Writer,
        commit_rows: int = COMMIT_ROWS,
        commit_seconds: float = COMMIT_SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ):
        self.writer, self.clock = writer, clock
        self.commit_rows, self.commit_seconds = commit_rows, commit_seconds
        self.patience = min(FIRST_SECONDS, commit_seconds)
        self.faults = Faults(writer.folder)
        self.contents = Contents(writer.snapshot.images)
        self.states = bytearray(writer.snapshot.images.bound)
        self.counts: Counter[str] = Counter()
        self.replaced: list[int] = []
        self._begin()

    def _begin(self) -> None:
        self.rows: dict[int, ImageRow] = {}
        self.fresh: dict[int, np.ndarray] = {}
        self.since, self.amount = self.clock(), 0

    def mark(self, ids: Iterable[int], state: int) -> None:
        """Set what is known of rows."""
        for number in ids:
            self.states[number] = state

    def of(self, digest: bytes) -> np.ndarray:
        """int64 [n]: ids of the rows of a content that are in the index."""
        found = self.contents.of(digest)
        return found[[self.states[number] != REMOVED for number in found]] if len(found) else EMPTY

    def in_state(self, ids: Iterable[int], *states: int) -> list[int]:
        """Those of the ids that are in one of the states."""
        return [int(number) for number in ids if self.states[number] in states]

    def rows_of(self, ids: Sequence[int]) -> dict[int, ImageRow]:
        """The rows of ids, as they are now."""
        ids = [int(number) for number in ids]
        stored = [number for number in dict.fromkeys(ids) if number not in self.rows]
        records = self.writer.snapshot.images.take(stored).to_pylist() if stored else []
        found = {record["id"]: row_of("image", record) for record in records}
        return found | {number: self.rows[number] for number in ids if number in self.rows}

    def vectors_of(self, ids: Sequence[int]) -> np.ndarray:
        """float32 [n, D]: the vectors of ids."""
        vectors = np.empty((len(ids), self.writer.manifest.width), np.float32)
        stored = [at for at, number in enumerate(ids) if number not in self.fresh]
        if stored:
            vectors[stored] = self.writer.snapshot.images.vectors([ids[at] for at in stored])
        for at, number in enumerate(ids):
            if number in self.fresh:
                vectors[at] = self.fresh[number]
        return vectors

    def add(self, rows: Sequence[ImageRow], vectors: np.ndarray) -> list[int]:
        """New rows with their vectors [n, D]; their ids."""
        if not rows:
            return []
        ids = self.writer.add(rows, vectors).tolist()
        self.states += bytes([TAKEN]) * (ids[-1] + 1 - len(self.states))
        for number, row, vector in zip(ids, rows, vectors, strict=True):
            self.rows[number], self.fresh[number] = row, vector
            if row.digest:
                self.contents.add(row.digest, number)
        self.amount += len(rows)
        return ids

    def change(self, ids: Sequence[int], rows: Sequence[ImageRow]) -> None:
        """Other metadata of rows, which a file that was read has now."""
        self.writer.change(ids, rows)
        self.rows.update(zip(ids, rows, strict=True))
        self.mark(ids, TAKEN)
        self.amount += len(rows)

    def replace(self, ids: Iterable[int]) -> None:
        """Rows whose file has other content now: out with the next commit, unless another file is found to have it."""
        left = self.in_state(ids, DOUBTFUL)
        self.mark(left, LOOSE)
        self.replaced += left

    def remove(self, ids: Iterable[int]) -> None:
        """Take rows out."""
        ids = list(ids)
        self.writer.remove(ids)
        self.mark(ids, REMOVED)
        self.amount += len(ids)

    def fail(self, fault: Fault) -> None:
        """A file that is not in the index for a reason."""
        self.faults.add(fault)

    def commit_when_due(self) -> None:
        """Commit where enough was done, or enough time has passed."""
        if self.amount >= self.commit_rows or self.clock() - self.since >= self.patience:
            self.commit()
            self.patience = min(2 * self.patience, self.commit_seconds)

    def commit(self) -> None:
        """Make durable what was done."""
        self.remove(self.in_state(self.replaced, LOOSE))
        self.replaced = []
        self.writer.commit()
        self.faults.write()
        if sum(map(len, self.contents.recent.values())) >= RECENT:
            self.contents.refresh(self.writer.snapshot.images)
        self._begin()

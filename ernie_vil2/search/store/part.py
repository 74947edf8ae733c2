"""One side of an index, pictures or texts: rows of all segments, which of them are alive, and their vectors."""

from collections.abc import Iterator, Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa

from ...errors import DataError
from .columns import SCHEMAS
from .tables import MappedTable, Rows
from .vectors_file import VALUE, VectorsFile

BLOCK = 65536
MOST_CELLS = 4096
"""Values that are taken from the columns before the pages that hold them are let go of: some 64 KiB each"""


class Part:
    """Rows of a side, as they were when the index was opened.

    tables: of the segments, in their order. vectors: their files of vectors. changed: tables of new metadata of these
    rows, the last of which holds. bound: an id that is higher than all. known: which rows are alive. Attributes:
    `table`, all rows of both in this order; `ids`, int64 [R], and `live`, bool [R], of its rows: one row of each
    living id.
    """

    def __init__(
        self,
        side: str,
        width: int,
        tables: Sequence[MappedTable],
        vectors: Sequence[VectorsFile],
        changed: Sequence[MappedTable],
        bound: int,
        known: "Known",
    ) -> None:
        self.side, self.width, self.bound = side, width, bound
        self.schema = SCHEMAS[side]
        self.mapped = [*tables, *changed]
        self.table = pa.concat_tables([self.schema.empty_table(), *(mapped.table for mapped in self.mapped)])
        self.files = list(vectors)
        self.starts = np.cumsum([0, *(mapped.table.num_rows for mapped in tables)])
        self.rows = Rows([mapped.table for mapped in self.mapped])
        self.known = known
        self.taken = 0

    @cached_property
    def ids(self) -> np.ndarray:
        return numbers(self.table.column("id"))

    @cached_property
    def own_ids(self) -> np.ndarray:
        """The ids of the rows that have vectors, int64 [M], ascending."""
        return self.ids[: self.starts[-1]]

    @cached_property
    def live(self) -> np.ndarray:
        mask = self.known(self.ids)
        count = int(self.starts[-1])
        newer, first = np.unique(self.ids[count:][::-1], return_index=True)
        if len(newer):
            mask[count:] = False
            last = len(self.ids) - 1 - first
            mask[last] = self.known(newer)
            mask[:count] &= ~np.isin(self.own_ids, newer)
        return mask

    @cached_property
    def _places(self) -> tuple[np.ndarray, np.ndarray]:
        """Living ids in ascending order, and the rows of the table that hold them."""
        rows = np.flatnonzero(self.live)
        ids = self.ids[rows]
        if self.table.num_rows > self.starts[-1]:
            order = np.argsort(ids, kind="stable")
            ids, rows = ids[order], rows[order]
        return ids, rows

    def live_ids(self) -> np.ndarray:
        """The living ids, int64 [N], ascending."""
        return self._places[0]

    def __len__(self) -> int:
        return len(self._places[0])

    def alive(self, ids: np.ndarray) -> np.ndarray:
        """Which ids [n], in any order, are those of living rows: bool [n]."""
        ids = np.asarray(ids, np.int64)
        places = np.minimum(np.searchsorted(self.own_ids, ids), max(len(self.own_ids) - 1, 0))
        return self.known(ids) & (self.own_ids[places] == ids) if len(self.own_ids) else np.zeros(len(ids), bool)

    def check(self, ids: np.ndarray) -> None:
        """DataError unless rows of all these ids [n] are alive."""
        self._found(self.live_ids(), ids)

    def table_rows(self, ids: np.ndarray) -> np.ndarray:
        """The numbers of the table's rows [n] of living ids [n]; DataError for one that is not there."""
        living, rows = self._places
        return rows[self._found(living, ids)]

    def take(self, ids: np.ndarray | Sequence[int], columns: Sequence[str] | None = None) -> pa.Table:
        """The metadata of living ids, a row each in their order; DataError for one that is not there."""
        found = self.rows.take(self.table_rows(np.asarray(ids, np.int64)), columns, self.schema)
        self.taken += found.num_rows * found.num_columns
        if self.taken > MOST_CELLS:
            self.release()
        return found

    def release(self) -> None:
        """Let the process hold no page of the table, for whoever has read whole columns; what is read comes back."""
        for mapped in self.mapped:
            mapped.release()
        self.taken = 0

    def vectors(self, ids: np.ndarray | Sequence[int]) -> np.ndarray:
        """The vectors of ids, float32 [n, D], read from half precision; DataError for an id that is not there."""
        return self.halves(ids).astype(np.float32)

    def halves(self, ids: np.ndarray | Sequence[int]) -> np.ndarray:
        """The vectors of ids as they are kept, float16 [n, D], of rows that were removed too, as long as their segment
        has them; DataError for an id that is not there."""
        ids = np.asarray(ids, np.int64)
        order = np.argsort(ids, kind="stable")
        rows = self._found(self.own_ids, ids[order])
        found = np.empty((len(ids), self.width), VALUE)
        ends = np.searchsorted(rows, self.starts)
        for file, start, first, stop in zip(self.files, self.starts, ends, ends[1:], strict=False):
            file.take(rows[first:stop] - start, found[first:stop])
        if np.array_equal(order, np.arange(len(order))):
            return found
        back = np.empty_like(found)
        back[order] = found
        return back

    def blocks(self, rows: int = BLOCK) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """(ids int64 [n], vectors float16 [n, D]) of all living rows, ascending, at most `rows` of them at once."""
        for file, start in zip(self.files, self.starts, strict=False):
            for first, block in file.blocks(rows):
                ids = self.own_ids[start + first : start + first + len(block)]
                mask = self.known(ids)
                if mask.all():
                    yield ids, block
                elif mask.any():
                    yield ids[mask], block[mask]

    def _found(self, sorted_ids: np.ndarray, ids: np.ndarray) -> np.ndarray:
        places = np.searchsorted(sorted_ids, ids)
        missing = places >= len(sorted_ids)
        missing[~missing] = sorted_ids[places[~missing]] != ids[~missing]
        if missing.any():
            what = "picture" if self.side == "image" else "text"
            raise DataError(f"the index has no {what} {ids[missing][0]}; it may have been removed, search again")
        return places


class Known:
    """Which rows are alive, by their ids, where a sorted array names those that are gone, or those that are there."""

    def __init__(self, named: np.ndarray, gone: bool) -> None:
        self.named, self.gone = named, gone

    def __call__(self, ids: np.ndarray) -> np.ndarray:
        """bool [n] of ids, int64 [n]."""
        if not len(self.named):
            return np.full(len(ids), self.gone)
        places = np.minimum(np.searchsorted(self.named, ids), len(self.named) - 1)
        return (self.named[places] == ids) != self.gone


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of whole numbers without gaps as an array; without a copy where it is in one piece."""
    chunks = [chunk.to_numpy(zero_copy_only=True) for chunk in column.chunks if len(chunk)]
    return chunks[0] if len(chunks) == 1 else np.concatenate([np.empty(0, np.int64), *chunks])


def mentioned(images: Part) -> np.ndarray:
    """The ids of texts that living pictures have, int64, sorted."""
    found, first = [np.empty(0, np.int64)], 0
    for chunk in images.table.column("texts").chunks:
        live = images.live[first : first + len(chunk)]
        first += len(chunk)
        lists = chunk if live.all() else chunk.filter(pa.array(live))
        found.append(np.unique(lists.flatten().to_numpy(zero_copy_only=False)))
    return np.unique(np.concatenate(found))

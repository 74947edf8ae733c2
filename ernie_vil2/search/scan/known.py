"""What an index has of a place already, as arrays: its files with their rows, and rows by their content."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..store.part import Part

BLOCK = 65536
"""Rows whose paths are in Python's hands at once"""
EMPTY = np.empty(0, np.int64)


class KnownFiles:
    """The files of a root, by hashes of their paths, which hold in this process alone.

    hashes: int64 [K], ascending; sizes, mtimes: int64 [K]; a file has as many rows as frames, a picture one.
    """

    def __init__(self, part: Part, root: int):
        columns = ("root", "path", "size", "mtime")
        table = part.table.select(columns).filter(pa.array(part.live & rows_of_root(part, root)))
        ids = part.ids[part.live & rows_of_root(part, root)]
        hashes = hashes_of(table.column("path"))
        order = np.argsort(hashes, kind="stable")
        self.ids = ids[order]
        self.hashes, starts = np.unique(hashes[order], return_index=True)
        self.starts = np.append(starts, len(ids))
        self.sizes, self.mtimes = (table.column(name).to_numpy()[order][starts] for name in ("size", "mtime"))

    def __len__(self) -> int:
        return len(self.hashes)

    def rows(self, number: int) -> np.ndarray:
        """int64 [n]: ids of the rows of a file."""
        return self.ids[self.starts[number] : self.starts[number + 1]]

    def rows_of(self, numbers: np.ndarray) -> np.ndarray:
        """int64 [n]: ids of the rows of several files."""
        return np.concatenate([EMPTY, *(self.rows(number) for number in numbers)])

    def places(self, hashes: np.ndarray) -> np.ndarray:
        """int64 [n]: numbers of the files with these hashes [n], -1 for one that is not known."""
        if not len(self):
            return np.full(len(hashes), -1)
        places = np.minimum(np.searchsorted(self.hashes, hashes), len(self) - 1)
        return np.where(self.hashes[places] == hashes, places, -1)


def rows_of_root(part: Part, root: int) -> np.ndarray:
    """bool [R]: the rows of a part's table that come from a root and have a file."""
    found = pc.and_(
        pc.equal(part.table.column("root"), root), pc.greater(pc.binary_length(part.table.column("path")), 0)
    )
    return found.to_numpy()


def hashes_of(column: pa.ChunkedArray) -> np.ndarray:
    """int64 [n]: hashes of a column's values, as `hash` makes them."""
    found = [EMPTY]
    for chunk in column.chunks:
        for start in range(0, len(chunk), BLOCK):
            values = chunk.slice(start, BLOCK).to_pylist()
            found.append(np.fromiter(map(hash, values), np.int64, len(values)))
    return np.concatenate(found)


class Contents:
    """Ids of rows by the digest of their content, those that were added since included."""

    def __init__(self, part: Part):
        self.refresh(part)

    def refresh(self, part: Part) -> None:
        """Begin anew from what a part holds."""
        column = part.table.column("digest").filter(pa.array(part.live))
        whole = pc.equal(pc.binary_length(column), 16)
        ids = part.ids[part.live][whole.to_numpy().astype(bool)]
        halves = [np.empty((0, 2), ">u8")]
        for chunk in column.filter(whole).chunks:
            packed = b"".join(chunk.to_pylist())
            halves.append(np.frombuffer(packed, ">u8").reshape(-1, 2))
        halves = np.concatenate(halves).astype(np.uint64)
        order = np.lexsort((ids, halves[:, 1], halves[:, 0]))
        self.first, self.second, self.ids = halves[order, 0], halves[order, 1], ids[order]
        self.recent: dict[bytes, list[int]] = {}

    def add(self, digest: bytes, number: int) -> None:
        """One more row."""
        self.recent.setdefault(digest, []).append(number)

    def of(self, digest: bytes) -> np.ndarray:
        """int64 [n]: ids of the rows with a content, the oldest first."""
        first, second = np.frombuffer(digest, ">u8").astype(np.uint64)
        start, stop = (np.searchsorted(self.first, first, side) for side in ("left", "right"))
        found = self.ids[start:stop][self.second[start:stop] == second]
        return np.append(found, np.array(self.recent.get(digest, ()), np.int64))


class KnownKeys:
    """The rows of a root by hashes of their keys, those that were added since included.

    ids: int64 [K] of the rows that the root had at first.
    """

    def __init__(self, part: Part, root: int):
        own = pa.array(part.live & pc.equal(part.table.column("root"), root).to_numpy())
        table = part.table.select(["id", "key", "path", "size", "mtime"]).filter(own)
        hashes = hashes_of(table.column("key"))
        order = np.argsort(hashes, kind="stable")
        self.hashes, self.paths = hashes[order], hashes_of(table.column("path"))[order]
        self.ids, self.sizes, self.mtimes = (table.column(name).to_numpy()[order] for name in ("id", "size", "mtime"))
        self.recent: dict[int, int] = {}

    def id_of(self, key: str) -> int | None:
        """The id of the row with a key, or None."""
        value = hash(key)
        if value in self.recent:
            return self.recent[value]
        at = self._place(value)
        return None if at is None else int(self.ids[at])

    def has(self, key: str, path: bytes, size: int, mtime: int) -> bool:
        """Whether the row of a key is of this file, as it is."""
        at = self._place(hash(key))
        return at is not None and (self.paths[at], self.sizes[at], self.mtimes[at]) == (hash(path), size, mtime)

    def add(self, key: str, number: int) -> None:
        """The row that a key has now."""
        self.recent[hash(key)] = number

    def _place(self, value):
        at = int(np.searchsorted(self.hashes, value))
        return at if at < len(self.hashes) and self.hashes[at] == value else None

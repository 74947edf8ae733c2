"""Pictures that have no file of their own: found by their key in the source that the index took them from."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np

from ...data.sources.base import Source
from ...errors import DataError, UserError
from ...search.query.recent import Recent
from ...search.scan.folder.content import digest_of, digest_of_pixels
from .missing import CHANGED, GONE, UNREADABLE, PictureMissing
from .rows import PictureRow

MOST_SOURCES = 8
"""Sources that are kept open"""
NEAR = 32
"""Rows on either side of the one where a key should be that are looked at before all of them are"""
MOST_ROWS = 5_000_000
"""Of a source whose pictures are shown: 16 bytes each are kept"""


class OpenSource:
    """A source, and where its keys are: near where they were when the index was made, or else found by a walk over all
    of them, of which is kept: hashes int64 [N], ascending, and the rows int64 [N] that have them."""

    def __init__(self, source: Source) -> None:
        if len(source) > MOST_ROWS:
            raise PictureMissing(UNREADABLE)
        self.source = source
        self._walked: tuple[np.ndarray, np.ndarray] | None = None
        self._lock = threading.Lock()

    def picture(self, key: str, rank: int) -> Any:
        """What the first row of a key holds as its picture; PictureMissing where no row has the key. rank: how many of
        the index's rows of this source stand before it."""
        near = sorted(range(max(0, rank - NEAR), min(rank + NEAR, len(self.source))), key=lambda row: abs(row - rank))
        found = None if self._walked else next((row for row in near if key_of(self.source, row) == key), None)
        for row in self._rows_of(key) if found is None else [found]:
            sample = self.source[row]
            if sample.id == key:
                return sample.image
        raise PictureMissing(GONE)

    def _rows_of(self, key):
        """The rows that have a key, by its hash."""
        with self._lock:
            if self._walked is None:
                count = len(self.source)
                hashes = np.fromiter((hash(key_of(self.source, row)) for row in range(count)), np.int64, count)
                order = np.argsort(hashes, kind="stable")
                self._walked = hashes[order], order
        hashes, rows = self._walked
        first, stop = (int(np.searchsorted(hashes, hash(key), side)) for side in ("left", "right"))
        return rows[first:stop].tolist()


def key_of(source: Source, row: int) -> str | None:
    """The key of a row; None of one that cannot be read."""
    try:
        return source.key(row)
    except DataError:
        return None


class SourceRows:
    """Rows of sources that hold their pictures themselves. Threads may share it; a source is opened once."""

    def __init__(self) -> None:
        self._open = Recent(MOST_SOURCES)
        self._lock = threading.Lock()

    def picture(self, row: PictureRow) -> bytes | np.ndarray:
        """The bytes of the encoded picture, or RGB uint8 [H, W, 3], that the index knows by this row; PictureMissing
        where its source has it no more.

        A source that has changed since it was opened is opened once more.
        """
        state = GONE
        for again in (False, True):
            try:
                found = self._source(row, again).picture(row.key, row.rank)
            except PictureMissing as error:
                state = error.state
                continue
            except UserError:
                continue
            if isinstance(found, np.ndarray) and digest_of_pixels(found) == row.digest:
                return found
            if isinstance(found, (bytes, bytearray, memoryview)) and digest_of(bytes(found)) == row.digest:
                return bytes(found)
            state = CHANGED
        raise PictureMissing(state)

    def _source(self, row, anew):
        make: Callable[[], OpenSource] = lambda: OpenSource(row.origin.source())  # noqa: E731
        with self._lock:
            if anew:
                self._open.put(row.origin.spec, make())
            return self._open.get(row.origin.spec, make)

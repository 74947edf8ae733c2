"""Row groups of Parquet files in memory: the last that were read in this process, however many files there are."""

import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pyarrow as pa

KEPT_BYTES = 256 << 20
"""Of decompressed columns; a group alone may have more"""


class Groups:
    """The tables that were asked for last, of at most KEPT_BYTES together; shared by threads, never pickled."""

    def __init__(self):
        self._kept, self._lock, self._size = OrderedDict(), threading.Lock(), 0

    def get(self, name: Hashable, read: Callable[[], "pa.Table"]) -> "pa.Table":
        """The table of a name; one that is not kept is read, by one thread at a time, since threads of a loader want
        rows of the same group."""
        with self._lock:
            found = self._kept.pop(name, None)
            if found is None:
                found = read()
                self._size += found.nbytes
            self._kept[name] = found
            while self._size > KEPT_BYTES and len(self._kept) > 1:
                self._size -= self._kept.popitem(last=False)[1].nbytes
        return found


GROUPS = Groups()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=GROUPS.__init__)  # a lock held by another thread would stay held in the child

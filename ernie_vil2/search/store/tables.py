"""Arrow files of an index: mapped into memory without a copy, and rows of several of them taken as one table."""

import mmap
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa

from ...errors import DataError

ALONE = pa.ipc.IpcReadOptions(use_threads=False)
"""Nothing is read, so there is nothing to do side by side"""


class MappedTable:
    """The table of an Arrow file, in memory that the file is mapped to. DataError for another content."""

    def __init__(self, path: Path, schema: pa.Schema) -> None:
        with open(path, "rb") as handle:
            self.view = mmap.mmap(handle.fileno(), 0, prot=mmap.PROT_READ)
        try:
            self.table = pa.ipc.open_file(pa.py_buffer(self.view), options=ALONE).read_all()
            self.table.validate(full=True)  # Arrow trusts what columns say of their own places
            self.release()
        except (pa.ArrowException, ValueError) as error:
            raise DataError(f"{path} is damaged ({error}); copy the index again, or build it anew") from None
        if not self.table.schema.equals(schema):
            raise DataError(f"{path} has other columns than an index has; copy the index again, or build it anew")

    def release(self) -> None:
        """Let go of pages that were read, which the system still has: they no longer count as this process's own."""
        self.view.madvise(mmap.MADV_DONTNEED)


class Rows:
    """The rows of several tables of one schema, numbered from 0 through all of them, for taking some at a time.

    `pa.Table.take` would join the pieces of a column first, which costs as much as the whole table.
    """

    def __init__(self, tables: Iterable[pa.Table]) -> None:
        self.batches = [batch for table in tables for batch in table.to_batches() if batch.num_rows]
        self.starts = np.cumsum([0, *(batch.num_rows for batch in self.batches)])

    def take(self, rows: np.ndarray, columns: Sequence[str] | None, schema: pa.Schema) -> pa.Table:
        """The table of rows by number, in the order given. columns: names, by default all."""
        schema = schema if columns is None else pa.schema([schema.field(name) for name in columns])
        if not len(rows):
            return schema.empty_table()
        owners = np.searchsorted(self.starts, rows, "right") - 1
        inside = rows - self.starts[owners]
        order = np.argsort(owners, kind="stable")
        pieces = []
        for part in np.split(order, np.flatnonzero(np.diff(owners[order])) + 1):
            batch = self.batches[owners[part[0]]]
            pieces.append((batch if columns is None else batch.select(columns)).take(pa.array(inside[part])))
        table = pa.Table.from_batches(pieces, schema).combine_chunks()
        return table if len(pieces) == 1 else table.take(pa.array(np.argsort(order)))

"""A Parquet file: what its footer says, held against limits, and its row groups.

Format: Apache Parquet. Values are read by Arrow into plain columns: what the footer holds for pandas or for classes of
other programs is text that nobody reads, and an extension type is its storage.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import accumulate
from typing import TYPE_CHECKING

from ....errors import DataError, advice, exhausted
from ....files.stand_ins import HEAD, stand_in
from ..tar.descriptors import Descriptor
from .footer import MAX_LIST, Group, damaged, read_footer
from .groups import GROUPS

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

MAGIC, ENCRYPTED = b"PAR1", b"PARE"
MAX_FOOTER = 8 << 20
MAX_GROUP = 1 << 30
"""Bytes of the columns of a group that are read, decompressed"""
BATCH_BYTES, MOST_ROWS = 2 << 30, 4096
WRITTEN = "write the file again with row groups of 100 rows (row_group_size=100 of pandas and pyarrow)"


class TableFile:
    """The rows of one file. Nothing is held open, so it goes into forks and pickles; a file that has changed since is
    refused.

    Raises DataError for a file that is no Parquet, cut, damaged, or beyond the limits.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = os.fspath(path)
        self.stamp, self.groups = None, []
        self.broken: dict[int, DataError] = {}
        """Row groups that could not be read, whose other rows need not try again"""
        with self._opened() as (file, stamp, groups):
            self.stamp, self.schema, self.groups = stamp, file.schema_arrow, groups
        self.ends = list(accumulate(group.rows for group in groups))
        if not len(self):
            raise DataError(f"{self.path}: the file holds no rows; write at least one row into it")

    def __len__(self):
        return self.ends[-1] if self.ends else 0

    def check_groups(self, names: Sequence[str]) -> None:
        """DataError where the columns `names` of a group are too large to be read."""
        for number, group in enumerate(self.groups):
            size = sum(map(group.size, names))
            if size > MAX_GROUP:
                most = f"at most {MAX_GROUP >> 20:,} MiB are read at once"
                raise DataError(f"{self.path}: row group {number} has {size:,} bytes, and {most}; {WRITTEN}")

    def group(self, number: int, names: Sequence[str]) -> "pa.Table":
        """The columns `names` of a row group, kept for the next rows of it; DataError where it cannot be read."""
        if number in self.broken:
            raise DataError(*self.broken[number].args)
        name = self.path, self.stamp, number, tuple(names)
        try:
            return GROUPS.get(name, lambda: self._read(number, list(names)))
        except DataError as error:
            self.broken[number] = error.with_traceback(None)
            raise

    def _read(self, number, names):
        import pyarrow as pa

        group = self.groups[number]
        # A dictionary has a value once for all of its rows, so few bytes may say many: few rows at a time, counted.
        largest = max(1, *map(group.size, names))
        batch_size, batches, size = max(1, min(MOST_ROWS, BATCH_BYTES // largest)), [], 0
        with self._opened() as (file, _, _):
            for batch in file.iter_batches(batch_size, row_groups=[number], columns=names, use_threads=False):
                columns = [plain(column) for column in batch.columns]
                batches.append(pa.RecordBatch.from_arrays(columns, batch.schema.names))
                size += batches[-1].nbytes
                if size > MAX_GROUP:
                    raise DataError(
                        f"{self.path}: row group {number} unpacks to over {MAX_GROUP >> 20:,} MiB; {WRITTEN}"
                    )
        if sum(batch.num_rows for batch in batches) != group.rows:
            raise damaged(self.path, f"row group {number} has other rows than its footer says")
        return pa.Table.from_batches(batches)

    @contextmanager
    def _opened(self) -> "Iterator[tuple[pq.ParquetFile, tuple[int, int], list[Group]]]":
        """(the file for Arrow, its stamp, its row groups); whatever Arrow finds wrong becomes a DataError."""
        import pyarrow as pa
        import pyarrow.parquet as pq

        try:
            descriptor = Descriptor(self.path)
            stamp = descriptor.stamp()
            if self.stamp not in (None, stamp):
                raise DataError(f"{self.path}: the file has changed since it was opened; open the source again")
            groups = self.groups or read_footer(self.path, footer_of(self.path, descriptor, stamp[0]))
            with open(descriptor.number, "rb", closefd=False) as handle:
                yield (
                    pq.ParquetFile(
                        handle,
                        thrift_container_size_limit=MAX_LIST,
                        thrift_string_size_limit=MAX_FOOTER,
                        page_checksum_verification=True,
                        arrow_extensions_enabled=False,
                    ),
                    stamp,
                    groups,
                )
        except OSError as error:
            if exhausted(error):
                raise
            if error.errno is None:  # Arrow's own, which has no number of the system
                raise damaged(self.path, error) from None
            raise DataError(
                f"{self.path}: cannot be read ({error.strerror}); {advice(error, 'give a readable file')}"
            ) from None
        except (pa.ArrowException, ValueError, OverflowError) as error:
            raise damaged(self.path, error) from None


def footer_of(path: str, descriptor: Descriptor, size: int) -> bytes:
    """The footer; DataError for a file that does not begin and end as Parquet, or whose footer is larger than any."""
    head, tail = descriptor.read(0, HEAD), descriptor.read(max(0, size - 8), 8)
    if found := stand_in(head):
        raise DataError(f"{path}: {found}")
    if ENCRYPTED in (head[:4], tail[4:]):
        raise DataError(f"{path}: the file is encrypted; write it without encryption")
    if head[:4] != MAGIC:
        what = "is no Parquet" if size else "is empty"
        raise DataError(f"{path}: the file {what}; give one that begins with the letters PAR1")
    if size < 12 or tail[4:] != MAGIC:
        raise DataError(f"{path}: the file is cut off ({size:,} bytes, no footer at the end); copy it again")
    count = int.from_bytes(tail[:4], "little")
    if count > min(size - 12, MAX_FOOTER):
        raise damaged(path, f"its footer has {count:,} bytes, more than the file or {MAX_FOOTER:,}")
    return descriptor.read(size - 8 - count, count)


def plain(values: "pa.Array") -> "pa.Array":
    """A column as values that are their own: of an extension type its storage, of a dictionary what it stands for."""
    import pyarrow as pa

    while True:
        if isinstance(values, pa.ExtensionArray):
            values = values.storage
        elif isinstance(values, pa.DictionaryArray):
            values = values.dictionary_decode()
        elif pa.types.is_binary_view(values.type):
            return values.cast(pa.large_binary())
        elif pa.types.is_string_view(values.type):
            return values.cast(pa.large_string())
        else:
            return values

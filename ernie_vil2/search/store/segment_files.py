"""A segment while it is written: rows and vectors as they come, with checksums, in memory that does not grow."""

import hashlib
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...files.atomic import sync_directory
from .columns import IMAGE_SCHEMA, SCHEMAS
from .manifest import Segment
from .snapshot import CHANGED, NAMES, ROWS, SEGMENTS, VECTORS
from .vectors_file import VALUE

GATHERED = 1 << 18
"""Bytes that are written at once: Arrow gives each piece of a column by itself"""


class SummedFile:
    """A new file that is written once, from its beginning to its end, and knows its size and checksum."""

    def __init__(self, path: Path) -> None:
        self.handle = open(path, "wb", buffering=0)
        self.bytes, self.sum, self.closed = 0, hashlib.sha256(), False
        self.small = bytearray()

    def write(self, data: Any) -> int:
        """Append bytes; OSError where the disk refuses."""
        data = memoryview(data).cast("B")
        self.sum.update(data)
        self.bytes += len(data)
        if len(self.small) + len(data) > GATHERED:
            self.put(self.small)
            self.small = bytearray()
        if len(data) > GATHERED:
            self.put(data)
        else:
            self.small += data
        return len(data)

    def put(self, data: bytes | bytearray | memoryview) -> None:
        """Have the system write bytes, all of them."""
        left = memoryview(data)
        while left:
            left = left[self.handle.write(left) :]

    def flush(self) -> None:
        """Nothing: Arrow asks for it between tables, and only `sealed` has to see all on the disk."""

    def close(self) -> None:
        """Nothing: Arrow closes what it wrote to, and `sealed` comes after that."""

    def sealed(self) -> dict[str, Any]:
        """{bytes, sha256}, when all is on the disk."""
        self.put(self.small)
        os.fsync(self.handle.fileno())
        self.leave()
        return {"bytes": self.bytes, "sha256": self.sum.hexdigest()}

    def leave(self) -> None:
        """Close the file as it is."""
        self.handle.close()
        self.closed = True


class SegmentFiles:
    """The folder of a segment that is being written. What no manifest names is cleared by the next writer."""

    def __init__(self, folder: Path, number: int) -> None:
        self.name = f"{number:07d}"
        self.folder = folder / SEGMENTS / self.name
        self.files: dict[str, SummedFile] = {}
        self.tables: dict[str, pa.RecordBatchFileWriter] = {}
        self.rows: dict[str, int] = {}
        self.folder.mkdir(parents=True)

    def append(self, side: str, table: pa.Table, vectors: np.ndarray) -> None:
        """Rows of a side with their vectors, float16 [n, D]."""
        self._file(VECTORS[side]).write(np.ascontiguousarray(vectors, VALUE))
        self._table(ROWS[side], NAMES[side], SCHEMAS[side]).write_table(table)
        self.rows[NAMES[side]] += table.num_rows

    def change(self, table: pa.Table) -> None:
        """Metadata of pictures that are there already."""
        self._table(CHANGED, "changed", IMAGE_SCHEMA).write_table(table)
        self.rows["changed"] += table.num_rows

    def _file(self, name: str) -> SummedFile:
        if name not in self.files:
            self.files[name] = SummedFile(self.folder / name)
        return self.files[name]

    def _table(self, name: str, part: str, schema: pa.Schema) -> pa.RecordBatchFileWriter:
        if name not in self.tables:
            self.rows[part] = 0
            self.tables[name] = pa.ipc.new_file(self._file(name), schema)
        return self.tables[name]

    def seal(self) -> Segment:
        """See all of it on the disk; what a manifest says of it."""
        for table in self.tables.values():
            table.close()
        files = {name: file.sealed() for name, file in self.files.items()}
        sync_directory(self.folder)
        sync_directory(self.folder.parent)
        return Segment(self.name, dict(self.rows), files)

    def discard(self) -> None:
        """Give up what was written."""
        for file in self.files.values():
            file.leave()
        shutil.rmtree(self.folder, ignore_errors=True)

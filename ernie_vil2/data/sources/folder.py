"""A folder of images with one table of captions in it."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import SupportsIndex

import numpy as np

from ...errors import ConfigError, DataError
from ...files.paths.litter import is_litter
from ...files.paths.names import name_text
from ...messages import counted
from ..images.formats.kinds import is_picture_file
from . import fields
from .base import Sample, Source, digest
from .csv_table import CsvSource
from .line_files import JsonlSource
from .lines import MAX_LINE_BYTES
from .rows.images import found_name

TABLES = ("captions.csv", "metadata.csv", "captions.jsonl", "metadata.jsonl")
KINDS = {".csv": CsvSource, ".tsv": CsvSource, ".txt": CsvSource, ".jsonl": JsonlSource, ".ndjson": JsonlSource}


class FolderSource(Source):
    """Images of a folder and of its sub-folders, named by the rows of captions.csv, metadata.csv or their .jsonl twins.

    `metadata` names the table where there are several or where it has another name (.csv, .tsv, .txt or JSON lines);
    `sentences` is that of JSON lines, `encoding` and `columns` are those of all.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        metadata: str = "",
        allow_outside: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        sentences: str = "",
        encoding: str = "",
        columns: Mapping[str, str] | None = None,
    ):
        self.folder = Path(path)
        self.name = name_text(path)
        table = self.folder / (metadata or self._table())
        if not table.is_file():
            raise DataError(
                f"{table}: the table of captions does not exist; name an existing file of the folder as metadata"
            )
        kind = KINDS.get(table.suffix.lower())
        if kind is None:
            raise ConfigError(f"{table}: metadata must be a .csv, .tsv, .txt or .jsonl file; rename it or name another")
        if sentences and kind is CsvSource:
            raise ConfigError(f"{table}: a {table.suffix} has no kinds of sentences; leave the option sentences out")
        options = {"sentences": sentences} if sentences else {}
        self.table = kind(table, allow_outside, max_line_bytes, encoding=encoding, columns=columns, **options)
        self.table.folder = self.folder

    def __len__(self):
        return len(self.table)

    def load(self, index: int) -> Sample:
        return self.table.load(index)

    def where(self, index: SupportsIndex) -> str:
        return self.table.where(index)

    def key(self, index: SupportsIndex) -> str:
        return self.table.key(index)

    def qualify_ids(self, folders: bool = True) -> None:
        self.table.qualify_ids(folders)

    def own_id(self, index: int, key: str) -> str:
        return self.table.own_id(index, key)

    def describe(self) -> str:
        table = self.table.lines.path
        return f"{name_text(table)}: {counted(len(self), 'row')} over the images of its folder"

    @property
    def notes(self) -> list[str]:
        return self.table.notes

    def unused_files(self) -> Iterator[Path]:
        """Yield the image files below the folder that no row names, by 8 bytes of memory a row."""
        named = np.fromiter(self._named(), np.uint64)
        named.sort()
        for parent, folders, files in os.walk(self.folder):
            folders[:] = sorted(name for name in folders if not is_litter(name))
            for name in sorted(files):
                path = os.path.join(parent, name)
                if not is_litter(name) and is_picture_file(path):
                    value = digest(os.fsencode(os.path.relpath(path, self.folder)))
                    at = np.searchsorted(named, np.uint64(value))
                    if at == len(named) or named[at] != value:
                        yield Path(path)

    def _named(self):
        """Digests of the paths that rows name, also of rows that are bad for another reason."""
        for index in range(len(self.table)):
            try:
                mapping = self.table.mapping(index)
                kind, value = fields.image_field(mapping, self.where(index))
            except DataError:
                continue
            if kind != "image_base64":
                name = found_name(self.folder, value)
                yield digest(os.fsencode(os.path.relpath(self.folder / name, self.folder)))

    def _table(self):
        present = [name for name in TABLES if (self.folder / name).is_file()]
        if not present:
            raise DataError(
                f"{self.folder}: the folder has none of {', '.join(TABLES)}; "
                "write one with the columns image and text, or name yours as metadata"
            )
        if len(present) > 1:
            raise DataError(f"{self.folder}: the folder has {' and '.join(present)}; say which one to use as metadata")
        return present[0]

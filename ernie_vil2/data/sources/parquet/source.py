"""Parquet tables as a source: pictures as bytes in a column, as data sets of Hugging Face have them, or as files."""

import os
from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, SupportsIndex

from ....errors import ConfigError, DataError, nearest
from ....files.paths.litter import is_litter
from ....files.paths.names import name_text
from ....messages import counted
from .. import fields
from ..base import RowError, Sample, Source, without_front
from ..composite import JoinedSource
from ..rows.columns import IMAGE_FIELDS, IMAGE_KEYS, KEYS, TEXT_KEYS, Columns, clean
from ..rows.images import decode_base64, with_folders
from ..rows.texts import decode_utf8, shorten
from ..stem_parts import IMAGE, LIMITS
from .table import TableFile

if TYPE_CHECKING:
    import pyarrow as pa

SUFFIX = ".parquet"
ALIASES = {**dict.fromkeys(("jpg", "jpeg", "png", "webp", "image_bytes"), "image"), "image_id": "id"}
"""{name of a column, as img2dataset and others write it: our key}, where no column has the key itself"""
PARTS = {"bytes", "path"}
"""Fields of a picture as Hugging Face's datasets write it"""


class ParquetSource(JoinedSource):
    """The rows of a Parquet file, or of those of a folder in the order of their names.

    columns: {key: name of the column}; allow_outside: whether images that are files may lie outside of its folder.
    """

    def __init__(self, path: str | os.PathLike, allow_outside: bool = False, columns: Mapping[str, str] | None = None):
        named = Columns(columns)
        parts = [ParquetRows(file, allow_outside, named) for file in parquet_files(path)]
        super().__init__(parts, name_text(path))

    def describe(self) -> str:
        size = sum(part.file.stamp[0] for part in self.parts)
        groups = counted(len(self.shard_sizes()), "row group")
        files = f" of {len(self.parts):,} files" if len(self.parts) > 1 else ""
        return f"{self.name}: {counted(len(self), 'row')} in {groups}{files}, {size / 1e6:,.1f} MB"


class ParquetRows(Source):
    """The rows of one file. The id of a picture in a row is that of the row, else `FILE#ROW`; of a file, its path."""

    def __init__(self, path: str | os.PathLike, allow_outside: bool, columns: Columns):
        self.name, self.folder, self.allow_outside = name_text(path), Path(path).parent, allow_outside
        self.file, self.prefix, self.space = TableFile(path), "", ""
        self.columns = self._columns(columns)
        self.facts = {key: name for key, name in self.columns.items() if not self._holds_bytes(name)}
        """Columns without those that hold pictures, from which the key of a row is told"""
        self.file.check_groups(list(self.columns.values()))

    def __len__(self):
        return len(self.file)

    def load(self, index: int) -> Sample:
        where = self.where(index)
        row = self._row(index, self.columns)
        key, image = picture_field(row, where)
        if not isinstance(image, bytes):
            mapping = {name: value for name, value in row.items() if name not in IMAGE_FIELDS} | {key: image}
            found = fields.sample(mapping, where, self.folder, self.allow_outside, self.prefix, self.space)
            return found if len(self.facts) == len(self.columns) else replace(found, id=self._id(row, index))
        if key == "image_base64":
            image = decode_base64(image, where)
        if not 0 < len(image) <= LIMITS[IMAGE]:
            reason = f"the image has {len(image):,} bytes, and at most {LIMITS[IMAGE]:,} are read"
            raise RowError(where, "no image", reason if image else "the image is empty", "write the row without it")
        texts, tags = fields.captions(row, where), fields.tag_list(row.get("tags"), where)
        return Sample(self._id(row, index), image, texts, tags, where, fields.box_list(row.get("boxes"), where))

    def where(self, index: SupportsIndex) -> str:
        return f"{self.name}:{self.position(index) + 1}"

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        row = self._row(index, self.facts)
        if row.get("id") not in (None, "") or len(self.facts) < len(self.columns):
            return self._id(row, index)
        return self[index].id

    def qualify_ids(self, folders: bool = True) -> None:
        self.space = f"{self.name}#"
        if folders:
            self.prefix = f"{name_text(self.folder)}/"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.space, self.prefix)

    def shard_sizes(self) -> list[int]:
        ends = self.file.ends
        return [end - start for start, end in zip([0, *ends], ends, strict=False)]

    def _id(self, row, index):
        if row.get("id") in (None, ""):
            return f"{self.name}#{index + 1}"
        return fields.image_id(row, self.where(index), self.prefix, self.space)

    def _row(self, index, columns):
        """{key: value} of some columns of a row, without nulls."""
        where = self.where(index)
        number = bisect_right(self.file.ends, index)
        start = self.file.ends[number - 1] if number else 0
        names = list(dict.fromkeys(columns.values()))
        table = self.file.group(number, names) if names else None
        row = {key: value_of(table.column(name), index - start, where) for key, name in columns.items()}
        row = {key: value for key, value in row.items() if value is not None}
        for key, value in row.items():
            if isinstance(value, bytes) and key not in IMAGE_FIELDS:
                row[key] = decode_utf8(value, where, key)
            if key in IMAGE_KEYS and isinstance(value, str) and "\\" in value:
                row[key] = with_folders(value, self.folder)
        return row

    def _columns(self, named):
        """{our key: name of a column} of the columns that are read; DataError where there is no picture or caption."""
        listed, where = self.file.schema.names, self.name

        def as_known(name):
            return name if name in named.named.values() else clean(name)

        counts, names = Counter(map(as_known, listed)), {as_known(name): name for name in listed}
        for key, name in named.named.items():
            if name not in names:
                close = nearest(name, names)
                hint = f"did you mean {close!r}?" if close else f"it has {shorten(', '.join(listed))}"
                raise DataError(f"{where}: the file has no column {name!r}, which columns names for {key}; {hint}")
        found = dict(named.keys(names, where))
        twice = [name for key, name in found.items() if key in (*KEYS, *ALIASES) and counts[as_known(name)] > 1]
        if twice:
            raise DataError(f"{where}: the file has the column {twice[0]!r} twice; write it with one")
        for name, key in ALIASES.items():
            if name in found and key not in found and (key == "id" or self._holds_bytes(found[name])):
                found[key] = found[name]
        found = {key: name for key, name in found.items() if key in KEYS}
        holders = [key for key in IMAGE_FIELDS if key in found and self._holds_bytes(found[key])]
        if holders:  # the other columns are what its file was called
            found = {key: name for key, name in found.items() if key not in IMAGE_FIELDS or key == holders[0]}
        for kind, keys in (("pictures", IMAGE_FIELDS), ("captions", TEXT_KEYS)):
            if not set(keys) & set(found):
                raise DataError(
                    f"{where}: none of its columns ({shorten(', '.join(listed), 120)}) has {kind}; name the one "
                    f"that is meant by the option columns: {{{keys[0]}: NAME}}"
                )
        return found

    def _holds_bytes(self, name):
        """Whether a column has pictures; DataError for one of bytes in another form than is read."""
        import pyarrow as pa

        kind = stored(self.file.schema.field(name).type)
        if pa.types.is_struct(kind):
            return PARTS & {field.name for field in kind} != set()
        return any(test(kind) for test in (pa.types.is_binary, pa.types.is_large_binary, is_view))


def picture_field(row: Mapping[str, Any], where: str) -> tuple[str, bytes | str]:
    """(key, value) of the one field with a picture: its bytes, or the path or base64 that a text is."""
    key = next((key for key in IMAGE_FIELDS if row.get(key) not in (None, "")), None)
    value = row.get(key)
    if isinstance(value, dict):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return key, value
    return fields.image_field({**row, key: value} if key else row, where)


def value_of(column: "pa.ChunkedArray", place: int, where: str) -> Any:
    """A value of a column as Python has it; RowError for text that is not UTF-8."""
    try:
        return column[place].as_py()
    except (ValueError, IndexError, OverflowError, RecursionError) as error:
        reason = f"a value of the column cannot be read ({error})"
        raise RowError(where, "unreadable value", reason, "write the row again") from None


def stored(kind: "pa.DataType") -> "pa.DataType":
    """The type of values behind an extension type and a dictionary."""
    while True:
        inner = getattr(kind, "storage_type", None) or getattr(kind, "value_type", None)
        if inner is None or hasattr(kind, "value_field"):
            return kind
        kind = inner


def is_view(kind: "pa.DataType") -> bool:
    """Whether values are bytes that lie in buffers of their own."""
    import pyarrow as pa

    return pa.types.is_binary_view(kind)


def parquet_files(path: str | os.PathLike) -> Sequence[Path]:
    """The file itself, or those of a folder in order of their names."""
    if not isinstance(path, (str, os.PathLike)):
        raise ConfigError(f"a parquet source has the path {path!r}; give a file or a folder of .parquet files")
    if not os.path.isdir(path):
        return [Path(path)]
    found = sorted(name for name in os.listdir(path) if is_parquet(name))
    if not found:
        raise DataError(f"{path}: the folder holds no {SUFFIX}; give a folder of such files, or a glob")
    return [Path(path, name) for name in found]


def is_parquet(name: str) -> bool:
    """Whether a name is that of a Parquet file and not hidden."""
    return name.lower().endswith(SUFFIX) and not is_litter(name)

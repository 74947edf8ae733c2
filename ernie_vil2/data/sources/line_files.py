"""Files with a row per line: the release's TSV, and JSON lines."""

import os
import re
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, SupportsIndex

from ...errors import DataError
from ...files.paths.names import name_text
from ...messages import counted
from . import fields
from .base import RowError, Sample, Source, without_front
from .lines import MAX_LINE_BYTES, LineFile
from .rows.brivl import from_brivl, holds_brivl
from .rows.cells import cells
from .rows.columns import GROUP, IMAGE_FIELDS, IMAGE_KEYS, KNOWN, TEXT_KEYS, Columns, clean
from .rows.images import decode_base64, with_folders
from .rows.texts import decode_utf8, json_object, shorten

HEAD_BYTES = 4096
TSV_NAMES = {**{key: key for key in GROUP}, **KNOWN, "image_id": "id", "base64": "image_base64"}
"""{name of a column in the first line of a TSV: our key}"""
NAME_OF_IMAGE = re.compile(r"(?:[a-z\d]+[_ -])*(?:ima?ge?s?|pic(?:ture)?s?|photo|b(?:ase)?64)[a-z\d_ -]*|.*[图圖照].*")
"""How an image's column may be called"""
RELEASE = [0, 1, 2]
"""Places of text, image id and image in a row of the release"""


class LineSource(Source):
    """A source over a LineFile; sub-classes say in `load` how the bytes of a row become a Sample."""

    title = "rows"
    any_end = False
    """Whether a lone CR ends a row whatever the others end in"""

    def __init__(self, path: str | os.PathLike, max_line_bytes: int = MAX_LINE_BYTES, encoding: str = ""):
        self.lines = LineFile(path, max_line_bytes, encoding, self.any_end)
        self.name, self.space = name_text(path), ""

    def __len__(self):
        return len(self.lines)

    def qualify_ids(self, folders: bool = True) -> None:
        self.space = f"{name_text(self.lines.path)}#"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.space)

    def where(self, index: SupportsIndex) -> str:
        return self.lines.where(self.position(index))

    def describe(self) -> str:
        return f"{self.name}: {len(self):,} {self.title}, {self.lines.size / 1e6:,.1f} MB"

    @property
    def notes(self) -> list[str]:
        return self.lines.notes


class TsvSource(LineSource):
    """The release's input: UTF-8 lines `text TAB image id TAB base64 image`, never held decoded in memory."""

    title = "rows of text, image id and base64 image"

    def __init__(self, path: str | os.PathLike, max_line_bytes: int = MAX_LINE_BYTES, encoding: str = ""):
        super().__init__(path, max_line_bytes, encoding)
        first = self.lines.read(0, head=HEAD_BYTES)
        self.names, self.quoted = header_names(first), first.startswith(b'"')
        """The names of the columns where the first line gives them, empty where it is a row; whether they are quoted"""
        self.order = RELEASE
        if self.names:
            if len(self) == 1:
                raise DataError(f"{path}: the file holds a header but no rows; write a row per caption into it")
            self.lines.skip([self.lines.line(0)])
            groups = [GROUP.get(TSV_NAMES.get(name)) for name in self.names]
            self.order = [groups.index(GROUP[key]) for key in ("text", "id", "image") if GROUP[key] in groups]

    @property
    def is_table(self) -> bool:
        """Whether the first line names other columns than the release's three, or images that are files."""
        if len(self.names) != 3 or len(self.order) != 3 or self.quoted:
            return bool(self.names)
        image = self.lines.read(0, head=HEAD_BYTES).split(b"\t")[self.order[2] :][:1]
        return any(b"." in name and not name.lstrip().lower().startswith(b"data:") for name in image)  # base64 has none

    @property
    def notes(self) -> list[str]:
        named = [f"{self.name}: the first line names the columns and is no row"] if self.names else []
        return [*super().notes, *named]

    def load(self, index: int) -> Sample:
        where = self.lines.where(index)
        text, image_id, image = self._columns(self.lines.read(index), where)
        if index == 0 and len(image) < 64:
            refuse_header(where, (text, image_id, image))
        texts = fields.captions({"text": decode_utf8(text, where, "text")}, where)
        return Sample(self._id(image_id, where), decode_base64(image, where), texts, (), where)

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        where = self.lines.where(index)
        columns = self.lines.read(index, head=HEAD_BYTES).split(b"\t")
        if len(columns) < 3 or self.order != RELEASE:  # the text is longer than the head, or the row is wrong
            return self._id(self._columns(self.lines.read(index), where)[1], where)
        return self._id(columns[1], where)

    def _columns(self, raw, where):
        columns = raw.split(b"\t")
        if len(columns) == 3:
            return [columns[place] for place in self.order]
        if len(columns) > 3:
            fix = "replace the tabs inside the text by blanks"
        elif len(columns) == 2:
            fix = "an image or an id is missing; write text, image id and base64 image, separated by tabs"
        else:
            fix = "separate text, image id and base64 image by tabs"
        reason = f"the line has {counted(len(columns), 'column')} instead of 3"
        raise RowError(where, "wrong number of columns", reason, fix)

    def _id(self, raw, where):
        image_id = decode_utf8(raw, where, "image id")
        if not image_id.strip():
            raise RowError(
                where, "bad id", "the image id is empty", "write an id, the same for all captions of an image"
            )
        return self.space + image_id


def header_names(raw: bytes) -> list[str]:
    """The names of columns in the first line of a TSV, or none where it names no image and no text."""
    names = [clean(name) for name in cells(raw.decode("utf-8", "replace"), "\t")]
    groups = {GROUP.get(TSV_NAMES.get(name)) for name in names}
    return names if {GROUP["image"], GROUP["text"]} <= groups else []


def refuse_header(where: str, columns: Sequence[bytes]) -> None:
    """RowError for a first line (text, id, image) that holds names of columns, not all of which are known."""
    names = [clean(name.decode("utf-8", "replace")).strip('"') for name in columns]
    if sum(name in TSV_NAMES for name in names) > 1 or names[2] in TSV_NAMES or NAME_OF_IMAGE.fullmatch(names[2]):
        raise RowError(
            where,
            "header row",
            f"the line seems to name columns ({shorten(', '.join(names))}), but not all names are known",
            "call them text, image_id and image, or delete the line",
        )


class MappingSource(LineSource):
    """Rows that are mappings of named fields; images are paths relative to the file's folder, or base64."""

    def __init__(
        self,
        path: str | os.PathLike,
        allow_outside: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        encoding: str = "",
        columns: Mapping[str, str] | None = None,
    ):
        self.columns = Columns(columns)
        super().__init__(path, max_line_bytes, encoding)
        self.folder = Path(path).parent
        self.allow_outside = allow_outside
        self.prefix = ""

    def qualify_ids(self, folders: bool = True) -> None:
        super().qualify_ids(folders)
        if folders:
            self.prefix = f"{name_text(self.folder)}/"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.space, self.prefix)

    def load(self, index: int) -> Sample:
        where = self.where(index)
        return fields.sample(self.mapping(index), where, self.folder, self.allow_outside, self.prefix, self.space)

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        return fields.image_id(self.mapping(index), self.where(index), self.prefix, self.space)

    def mapping(self, index: int) -> dict[str, Any]:
        """The fields of a row as a dict under our keys, paths of Windows as ours; RowError where it is no row."""
        row = self.renamed(self.named(index), self.where(index))
        for key in IMAGE_KEYS:
            if isinstance(row.get(key), str) and "\\" in row[key]:
                row = {**row, key: with_folders(row[key], self.folder)}
        return row

    def renamed(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        """A row under our keys."""
        return self.columns.keys(row, where)

    @abstractmethod
    def named(self, index: int) -> dict[str, Any]:
        """The fields of a row under the names that the file gives them; RowError where it is none."""


class JsonlSource(MappingSource):
    """JSON lines {image or image_base64, text or texts, tags?, boxes?, id?}; other keys are passed over.

    Rows of BriVL's release, {image_id, sentences or captions, bbox}, are read as they are; the option `sentences` names
    the one kind of sentences that is taken from them.
    """

    title = "JSON lines"
    any_end = True

    def __init__(
        self,
        path: str | os.PathLike,
        allow_outside: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        sentences: str = "",
        encoding: str = "",
        columns: Mapping[str, str] | None = None,
    ):
        super().__init__(path, allow_outside, max_line_bytes, encoding, columns)
        self.sentences = sentences

    def named(self, index: int) -> dict[str, Any]:
        where = self.where(index)
        return json_object(decode_utf8(self.lines.read(index), where, "line"), where)

    def renamed(self, row: dict[str, Any], where: str) -> dict[str, Any]:
        row = super().renamed(row, where)
        if holds_brivl(row, IMAGE_FIELDS, TEXT_KEYS):
            return from_brivl(row, IMAGE_FIELDS, TEXT_KEYS, where, self.folder, self.sentences)
        return row

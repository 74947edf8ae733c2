"""Files with a row per line: the release's TSV, and JSON lines."""

import os
from pathlib import Path
from typing import Any, SupportsIndex

from ...files.names import name_text
from . import fields
from .base import RowError, Sample, Source, without_front
from .lines import MAX_LINE_BYTES, LineFile
from .rows.brivl import from_brivl, holds_brivl
from .rows.images import decode_base64
from .rows.texts import decode_utf8, json_object

HEAD_BYTES = 4096


class LineSource(Source):
    """A source over a LineFile; sub-classes say in `load` how the bytes of a row become a Sample."""

    title = "rows"

    def __init__(self, path: str | os.PathLike, max_line_bytes: int = MAX_LINE_BYTES):
        self.lines = LineFile(path, max_line_bytes)
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


class TsvSource(LineSource):
    """The release's input: UTF-8 lines `text TAB image id TAB base64 image`, never held decoded in memory."""

    title = "rows of text, image id and base64 image"

    def load(self, index: int) -> Sample:
        where = self.lines.where(index)
        text, image_id, image = self._columns(self.lines.read(index), where)
        texts = fields.captions({"text": decode_utf8(text, where, "text")}, where)
        return Sample(self._id(image_id, where), decode_base64(image, where), texts, (), where)

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        where = self.lines.where(index)
        columns = self.lines.read(index, head=HEAD_BYTES).split(b"\t")
        if len(columns) < 3:  # the text is longer than the head, or the row is wrong
            columns = self._columns(self.lines.read(index), where)
        return self._id(columns[1], where)

    @staticmethod
    def _columns(raw, where):
        columns = raw.split(b"\t")
        if len(columns) == 3:
            return columns
        if len(columns) > 3:
            fix = "replace the tabs inside the text by blanks"
        elif len(columns) == 2:
            fix = "an image or an id is missing; write text, image id and base64 image, separated by tabs"
        else:
            fix = "separate text, image id and base64 image by tabs"
        count = f"{len(columns)} column" + ("s" if len(columns) > 1 else "")
        raise RowError(where, "wrong number of columns", f"the line has {count} instead of 3", fix)

    def _id(self, raw, where):
        image_id = decode_utf8(raw, where, "image id")
        if not image_id.strip():
            raise RowError(
                where, "bad id", "the image id is empty", "write an id, the same for all captions of an image"
            )
        return self.space + image_id


class MappingSource(LineSource):
    """Rows that are mappings of named fields; images are paths relative to the file's folder, or base64."""

    def __init__(self, path: str | os.PathLike, allow_outside: bool = False, max_line_bytes: int = MAX_LINE_BYTES):
        super().__init__(path, max_line_bytes)
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
        where = self.lines.where(index)
        return fields.sample(self.mapping(index), where, self.folder, self.allow_outside, self.prefix, self.space)

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        return fields.image_id(self.mapping(index), self.lines.where(index), self.prefix, self.space)


class JsonlSource(MappingSource):
    """JSON lines {image or image_base64, text or texts, tags?, boxes?, id?}; other keys are passed over.

    Rows of BriVL's release, {image_id, sentences or captions, bbox}, are read as they are; the option `sentences` names
    the one kind of sentences that is taken from them.
    """

    title = "JSON lines"

    def __init__(
        self,
        path: str | os.PathLike,
        allow_outside: bool = False,
        max_line_bytes: int = MAX_LINE_BYTES,
        sentences: str = "",
    ):
        super().__init__(path, allow_outside, max_line_bytes)
        self.sentences = sentences

    def mapping(self, index: int) -> dict[str, Any]:
        """The fields of a row as a dict; raises RowError when the line is not a JSON object."""
        where = self.lines.where(index)
        row = json_object(decode_utf8(self.lines.read(index), where, "line"), where)
        if holds_brivl(row, fields.IMAGE_FIELDS, fields.TEXT_KEYS):
            return from_brivl(row, fields.IMAGE_FIELDS, fields.TEXT_KEYS, where, self.folder, self.sentences)
        return row

"""A text file of captions and nothing else: one a line."""

import os
from pathlib import Path
from typing import SupportsIndex

from ....files.paths.names import name_text
from ....messages import counted
from .. import fields
from ..base import TEXT_ALONE, Sample, Source, without_front
from ..lines import MAX_LINE_BYTES, LineFile
from ..rows.texts import decode_utf8


class TextsSource(Source):
    """The lines of a file but for blank ones, without images; ids are the numbers of the lines, from 1.

    encoding: as of every LineFile. A line that is written as a list of strings holds so many captions.
    """

    sides = TEXT_ALONE

    def __init__(self, path: str | os.PathLike, max_line_bytes: int = MAX_LINE_BYTES, encoding: str = ""):
        self.lines = LineFile(path, max_line_bytes, encoding)
        self.name, self.space = name_text(path), ""

    def __len__(self):
        return len(self.lines)

    def load(self, index: int) -> Sample:
        where = self.where(index)
        text = decode_utf8(self.lines.read(index), where, "line")
        return Sample(self.key(index), None, fields.captions({"text": text}, where), (), where)

    def where(self, index: SupportsIndex) -> str:
        return self.lines.where(self.position(index))

    def key(self, index: SupportsIndex) -> str:
        return f"{self.space}{self.lines.line(self.position(index)) + 1}"

    def qualify_ids(self, folders: bool = True) -> None:
        self.space = f"{self.name}#"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.space)

    def folders(self) -> set[Path | str | None]:
        return set()

    def describe(self) -> str:
        return f"{self.name}: {counted(len(self), 'line')} of text, no images: captions alone"

    @property
    def notes(self) -> list[str]:
        return self.lines.notes

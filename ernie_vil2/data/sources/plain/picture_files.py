"""A folder of pictures and nothing else: no table, no captions beside them."""

import os
from array import array
from pathlib import Path
from typing import SupportsIndex

from ....errors import DataError
from ....files.paths.litter import is_litter
from ....files.paths.names import distinct_texts, is_text, name_text
from ....messages import NO_PICTURES, counted
from ...images.formats.kinds import has_picture_head, is_picture_name
from ..base import IMAGE_ALONE, Sample, Source, without_front
from .tree import Tree, first_folders


class PicturesSource(Source):
    """The pictures of a folder and of its sub-folders, in the order of their names; texts are empty, ids are paths.

    allow_outside: whether links are followed that lead out of the folder. A picture takes the bytes of its name, and 8
    more, of memory; which file is one is told as everywhere, by its suffix or its first bytes.
    """

    sides = IMAGE_ALONE

    def __init__(self, path: str | os.PathLike, allow_outside: bool = False):
        self.folder, self.name, self.prefix = Path(path), name_text(path), ""
        self.tree = Tree(self.folder, allow_outside)
        self.others, self.other, odd = 0, "", False
        self.places, self.ends = bytearray(), array("q")
        for parent, files in self.tree.walk():
            for name in sorted(name for name in files if not is_litter(name)):
                place = os.path.normpath(os.path.join(parent, name))
                if is_picture(os.path.join(path, place)):
                    self.places += os.fsencode(place)
                    self.ends.append(len(self.places))
                    odd = odd or not is_text(place)
                else:
                    self.others, self.other = self.others + 1, self.other or place
        if not self.ends:
            links = "; ".join(self.tree.passed_over())
            raise DataError(f"{path}: no file in it is a picture; " + (links or "name another folder"))
        self.texts = distinct_texts([self.place(row) for row in range(len(self))]) if odd else {}

    def __len__(self):
        return len(self.ends)

    def place(self, row: int) -> str:
        """The path of a picture, relative to the folder, as the system has it."""
        return os.fsdecode(bytes(self.places[self.ends[row - 1] if row else 0 : self.ends[row]]))

    def load(self, index: int) -> Sample:
        where = self.where(index)
        return Sample(self.key(index), self.tree.path(self.place(index), where), (), (), where)

    def where(self, index: SupportsIndex) -> str:
        return os.path.join(self.name, self._text(index))

    def key(self, index: SupportsIndex) -> str:
        return self.prefix + self._text(index)

    def qualify_ids(self, folders: bool = True) -> None:
        if folders:
            self.prefix = f"{self.name}/"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.prefix)

    def describe(self) -> str:
        return f"{self.name}: {counted(len(self), 'picture')}, no captions: pictures alone"

    @property
    def notes(self) -> list[str]:
        links = self.tree.passed_over()
        if not self.others:
            return links
        named = name_text(self.other)
        return [
            f"{self.name}: {counted(self.others, *NO_PICTURES)} passed over, for example {named}; if one of "
            "them is a table of captions, name it with the option metadata",
            *links,
        ]

    def _text(self, index):
        place = self.place(self.position(index))
        return self.texts.get(place, place)


def is_picture(path: str) -> bool:
    """Whether a file is a picture by its name or, whatever that is, by its first bytes."""
    return is_picture_name(path) or has_picture_head(path)


def holds_pictures(path: str | os.PathLike) -> bool:
    """Whether a folder, or one of the first below it, holds a picture."""
    for folder, names in first_folders(path):
        if any(not is_litter(name) and is_picture(os.path.join(folder, name)) for name in names):
            return True
    return False

"""The files of a folder and of its sub-folders, and which links among them are followed."""

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

from ....files.paths.litter import is_litter
from ....files.paths.names import name_text
from ....messages import counted
from ..base import RowError

FOLDERS_LOOKED_AT = 64
"""Folders by whose files it is told what a tree is"""
LINKS = "link to a folder is", "links to folders are"


class Tree:
    """A folder that is walked once, and whose files are then named relative to it.

    allow_outside: whether links are followed that lead out of the folder; links to folders are passed over without it.
    """

    def __init__(self, folder: str | os.PathLike, allow_outside: bool):
        self.folder, self.allow_outside, self.links = Path(folder), allow_outside, []

    def walk(self) -> Iterator[tuple[str, list[str]]]:
        """Yield (relative path, names of files) of each folder but litter, once however many links lead to it."""
        seen = set()
        for parent, folders, files in os.walk(self.folder, followlinks=self.allow_outside):
            real = os.path.realpath(parent)
            folders[:] = sorted(name for name in folders if not is_litter(name)) if real not in seen else []
            if real not in seen:
                seen.add(real)
                yield os.path.relpath(parent, self.folder), files
                self.links += [os.path.join(parent, name) for name in folders if os.path.islink(f"{parent}/{name}")]

    def path(self, name: str, where: str) -> Path:
        """The path of a file, which must be a regular one inside the folder; RowError for another."""
        path = Path(self.folder, name)
        root = os.path.join(os.path.realpath(self.folder), "")
        inside = self.allow_outside or os.path.realpath(path).startswith(root)
        if not inside or not path.is_file():
            fix = "copy the file itself"
            if not inside and path.is_file():
                fix = "set allow_outside: true if the link is your own, or copy the file itself"
            reason = f"{name_text(name)} is not a regular file inside the folder"
            raise RowError(where, "unusable path", reason, fix)
        return path

    def passed_over(self) -> list[str]:
        """A sentence on the links to folders that were not followed."""
        if self.allow_outside or not self.links:
            return []
        first = name_text(self.links[0])
        return [
            f"{name_text(self.folder)}: {counted(len(self.links), *LINKS)} passed over, for example {first}; set "
            "allow_outside: true to follow them"
        ]


def first_folders(path: str | os.PathLike) -> Iterator[tuple[str, list[str]]]:
    """Yield (folder, names in it) of the first folders of a tree, and of what the first link in each leads to."""
    for place, folders, names in itertools.islice(os.walk(path), FOLDERS_LOOKED_AT):
        folders[:] = sorted(name for name in folders if not is_litter(name))
        yield place, names
        for link in [link for name in folders if os.path.islink(link := os.path.join(place, name))][:1]:
            yield link, os.listdir(link)

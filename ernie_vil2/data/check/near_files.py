"""Files that a row may mean whose own is missing: of the same name but for case, blanks, width or suffix, anywhere."""

import os
import unicodedata
from collections.abc import Iterator

from ...files.paths.litter import is_litter
from ..images.formats.kinds import is_picture_file
from ..sources.base import Sought

KEPT = 10_000  # missing files that are looked for
MOST = 16  # files that are kept of one name, as of IMG_0001.jpg in every folder
WALKED = 1_000_000  # files that are looked at


class NearFiles:
    """Missing files of rows, and what one walk of their folders finds for them.

    Memory: that of at most KEPT names and of MOST files for each, however many files there are.
    """

    def __init__(self) -> None:
        self.sought: dict[int, Sought] = {}
        self.missing = 0
        self.files: dict[str, list[str]] = {}
        self.unused: set[str] = set()

    def add(self, row: int, sought: Sought) -> None:
        """One more row whose file is missing."""
        self.missing += 1
        if len(self.sought) < KEPT:
            self.sought[row] = sought

    def look(self) -> None:
        """Walk the folders of all rows that were added."""
        self.files = {stem_of(sought.name): [] for sought in self.sought.values()}
        for path in files_below({sought.folder for sought in self.sought.values()}):
            found = self.files.get(stem_of(path))
            if found is not None and len(found) < MOST and path not in found and is_picture_file(path):
                found.append(path)

    def note_unused(self, path: str | os.PathLike) -> None:
        """A file that no row names is rather meant than one that a row names already."""
        if self.sought and self.files.get(stem_of(os.fspath(path))):
            self.unused.add(os.path.abspath(path))

    def of(self, row: int) -> list[str]:
        """The files that a row may mean, likely ones first, as it would name them."""
        sought = self.sought.get(row)
        if sought is None:
            return []
        found = {
            os.path.relpath(path, sought.folder): os.path.abspath(path) in self.unused
            for path in self.files.get(stem_of(sought.name), ())
        }
        inside = (name for name in found if not name.startswith(os.pardir))
        return sorted(inside, key=lambda name: (not found[name], *distance(name, os.path.normpath(sought.name))))

    def rows_elsewhere(self) -> int:
        """How many of the rows that are kept may mean another file."""
        return sum(bool(self.of(row)) for row in self.sought)


def distance(name: str, other: str) -> tuple:
    """What orders names by their likeness to another one: the same last part, the same folder, many folders shared."""
    (folder, last), (other_folder, other_last) = os.path.split(name), os.path.split(other)
    shared = set(folder.split(os.sep)) & set(other_folder.split(os.sep))
    return last != other_last, folder != other_folder, -len(shared), name


def stem_of(path: str) -> str:
    """The last part of a path without its suffix, in one case and width, without blanks."""
    stem = os.path.splitext(os.path.basename(path))[0]
    return "".join(unicodedata.normalize("NFKC", stem).casefold().split())


def files_below(folders: set[str]) -> Iterator[str]:
    """Paths of the first WALKED files below folders, in order of their names, without litter."""
    left = WALKED
    for folder in sorted(folders):
        for parent, inner, files in os.walk(folder or os.curdir):
            inner[:] = sorted(name for name in inner if not is_litter(name))
            for name in sorted(files)[:left]:
                if not is_litter(name):
                    yield os.path.join(parent, name)
            left -= min(left, len(files))
            if not left:
                return


def advice(near: list[str]) -> str:
    """The clause of a fix for a row whose file is missing and that may mean one of these."""
    more = f", or one of {len(near) - 1} more of nearly that name" if len(near) > 1 else ""
    return f"if {near[0]!r} is meant{more}, write that; else add the file, or delete the row"

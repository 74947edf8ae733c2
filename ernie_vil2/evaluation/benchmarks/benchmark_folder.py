"""The folder of a benchmark: published files found by name, images by id, wherever in the folder they lie."""

import fnmatch
import os
import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from pathlib import Path
from typing import Any

from ...data.images.formats.kinds import SUFFIXES, has_picture_head
from ...data.videos.kinds import is_video_name
from ...errors import DataError, advice
from ...files import json_files
from ...files.paths.litter import is_litter
from .counts import some

DEPTH = 4
COCO_NAME = re.compile(r"(?:COCO_(?:train|val)2014_)?(\d{12})")


class MissingFile(DataError):
    """A file of a benchmark is not in its folder under any of its names, or holds too little for a protocol."""


class Folder:
    """All files below a folder, to DEPTH levels, by name; what is hidden is passed over.

    Folders that are links are followed, since users link the images of COCO instead of copying them. A name out of a
    file of the benchmark is only ever looked up here, so it cannot lead elsewhere.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_dir():
            found = "is a file" if self.path.exists() else "does not exist"
            raise DataError(f"{self.path} {found}; give the folder of the benchmark's files as --data")
        readable(self.path)
        self._parents, self._closed = {}, []
        seen = set()
        for parent, folders, names in os.walk(self.path, followlinks=True, onerror=self._note):
            real = os.path.realpath(parent)
            deep = len(Path(parent).relative_to(self.path).parts) >= DEPTH
            folders[:] = [] if deep or real in seen else sorted(name for name in folders if not is_litter(name))
            if real not in seen:
                seen.add(real)
                for name in names:
                    if not is_litter(name):
                        self._parents.setdefault(name, []).append(parent)

    def _note(self, error):
        """Remember a folder that cannot be listed: what is lacking may be in there."""
        self._closed.append(error.filename)

    def find(self, names: Sequence[str], what: str, source: str) -> Path:
        """The path of the first of `names` that is there; MissingFile says `what` it is and its `source`."""
        path = self.optional(names)
        if path is None:
            raise MissingFile(f"{self.path} lacks {what}, looked for as {' or '.join(names)}; {source}")
        return path

    def optional(self, names: Iterable[str]) -> Path | None:
        """The path of the first of `names` (or patterns with *) that is there, or None; DataError for two."""
        for name in names:
            known = fnmatch.filter(self._parents, name) if "*" in name else [name]
            paths = sorted(Path(parent, item) for item in known for parent in self._parents.get(item, ()))
            if len(paths) > 1:
                raise DataError(f"{self.path} holds {paths[0]} and {paths[1]}, of which one is needed; keep that one")
            if paths:
                return paths[0]
        return None

    def images(self, key: Callable[[str], Hashable] = str) -> "ImageFiles":
        """The ImageFiles of the folder; `key` turns the stem of a file, and an id, into what both have in common."""
        found = {}
        for name, parents in self._parents.items():
            stem, suffix = os.path.splitext(name)
            paths = [os.path.join(parent, name) for parent in parents]
            if suffix.lower() not in SUFFIXES:
                paths = [path for path in paths if not suffix and has_picture_head(path)]
            if paths:
                found.setdefault(key(stem), []).extend(paths)
        return ImageFiles(self.path, found, key, self._closed)

    def videos(self) -> "ImageFiles":
        """The ImageFiles of the folder's videos, by the stems of their names."""
        found = {}
        for name, parents in self._parents.items():
            if is_video_name(name):
                paths = [os.path.join(parent, name) for parent in parents]
                found.setdefault(os.path.splitext(name)[0], []).extend(paths)
        return ImageFiles(self.path, found, str, self._closed, "video")


class ImageFiles:
    """Image files of a folder by key; `what` they are, for a message."""

    def __init__(
        self,
        folder: Path,
        found: dict[Hashable, list[str]],
        key: Callable[[str], Hashable],
        closed: Sequence[str] = (),
        what: str = "image",
    ) -> None:
        self.folder, self.what, self._found, self._key, self._closed = folder, what, found, key, closed

    def path(self, image_id: str, parent: str = "") -> Path | None:
        """The Path of an image, or None; of several, the one in a folder called `parent`, else DataError."""
        paths = self._found.get(self._key(image_id), ())
        if len(paths) > 1:
            paths = [path for path in paths if os.path.basename(os.path.dirname(path)) == parent] or paths
        if len(paths) > 1:
            raise DataError(f"{self.what} {image_id!r} is there twice, as {paths[0]} and {paths[1]}; keep one of them")
        return Path(paths[0]) if paths else None

    def places(self) -> str:
        """The folders that hold images, and those that could not be looked into, for a message."""
        parents = sorted({os.path.dirname(path) for paths in self._found.values() for path in paths})
        places = some(parents) if parents else f"{self.folder}, which holds no {self.what}"
        return places + (f" (and {some(self._closed)} cannot be read)" if self._closed else "")


def readable(folder: str | Path) -> None:
    """DataError for a folder whose files may not be listed and opened."""
    if not os.access(folder, os.R_OK | os.X_OK):
        raise DataError(f"{folder}: cannot be read (Permission denied); correct the permissions of the folder")


def coco_key(name: str) -> int | str:
    """The number of a COCO image: COCO_val2014_000000391895 and 000000391895 are one image; other names stay."""
    match = COCO_NAME.fullmatch(name)
    return int(match.group(1)) if match else name


def read_json(path: Path) -> Any:
    """The content of a UTF-8 JSON file, with or without BOM; DataError names the line."""
    try:
        return json_files.read_json(path)
    except OSError as error:
        raise DataError(
            f"{path}: cannot be read ({error.strerror or error}); {advice(error, 'give a readable file')}"
        ) from None

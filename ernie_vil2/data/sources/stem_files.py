"""A tree of files in which an image and its captions share a stem: img2dataset's output format `files`."""

import contextlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import SupportsIndex

from ...errors import DataError, advice, exhausted
from ...files.encodings import GB, NAMES, Evidence, can_be_gb, codec_of
from ...files.paths.litter import is_litter
from ...files.paths.names import distinct_texts, name_text
from ...files.text import codec_of_text
from ...messages import counted
from ..images.formats.kinds import has_picture_head
from . import stem_parts
from .base import RowError, Sample, Source, without_front
from .plain.tree import Tree, first_folders
from .stem_parts import IMAGE, JSON, LIMITS, PART_OF_SUFFIX, TEXT, TITLES

LOOKED_AT = 20
"""Samples whose encoding speaks for that of all"""


class FilesSource(Source):
    """`000000000.jpg` with `000000000.txt`, `.json` or both, in a folder and its sub-folders.

    allow_outside: whether links are followed that lead out of the folder. The names are held in memory, so it is for
    thousands of images; `ernie-vil2 data shard` makes tars of them.
    """

    def __init__(self, path: str | os.PathLike, allow_outside: bool = False, encoding: str = ""):
        self.encoding, self.is_gb = encoding, None
        codec_of(encoding)  # a wrong name is no fault of the first row
        self.folder, self.name, self.prefix = Path(path), name_text(path), ""
        self.space = ""
        self.tree = Tree(path, allow_outside)
        self.stems, self.lonely = [], {IMAGE: [], TEXT: []}
        for parent, files in self.tree.walk():
            self._take(parent, files)
        self.texts = distinct_texts([stem for stem, _ in self.stems])
        if not self.stems:
            links = "; ".join(self.tree.passed_over())
            raise DataError(
                f"{path}: no image has a .txt or .json of its stem; " + (links or "write one beside each image")
            )

    def _take(self, parent, files):
        for stem, suffixes in parts_of_stems(os.path.join(self.folder, parent), files).items():
            place = os.path.normpath(os.path.join(parent, stem))
            if IMAGE in suffixes and len(suffixes) > 1:
                self.stems.append((place, suffixes))
            elif IMAGE in suffixes or not stem.endswith("_stats"):
                self.lonely[IMAGE if IMAGE in suffixes else TEXT].append(place)

    def __len__(self):
        return len(self.stems)

    def load(self, index: int) -> Sample:
        stem, suffixes = self.stems[index]
        where = self.where(index)
        image = self.tree.path(stem + suffixes[IMAGE], where)
        text, document = self._read(index, TEXT), self._read(index, JSON)
        encoding = self._encoding(text, document)
        return stem_parts.sample(image, text, document, where, self._default_id(index), self.space, encoding)

    def where(self, index: SupportsIndex) -> str:
        stem, suffixes = self.stems[self.position(index)]
        return os.path.join(self.name, self.texts.get(stem, stem) + suffixes[IMAGE])

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        document = self._read(index, JSON)
        mapping = (
            stem_parts.parse(document, self.where(index), self._encoding(document)) if document is not None else {}
        )
        return stem_parts.image_id(mapping, self.where(index), self._default_id(index), self.space)

    def qualify_ids(self, folders: bool = True) -> None:
        self.space = f"{name_text(self.folder)}#"
        if folders:
            self.prefix = f"{name_text(self.folder)}/"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.space, self.prefix)

    def describe(self) -> str:
        return f"{self.name}: {counted(len(self), 'image')} with captions beside them"

    @property
    def notes(self) -> list[str]:
        left_out = [
            f"{self.name}: {counted(len(stems), *what)}, for example {name_text(stems[0])}"
            for what, stems in (
                (("image without a caption is left out", "images without a caption are left out"), self.lonely[IMAGE]),
                (
                    (
                        "caption without an image is left out (a failed download)",
                        "captions without an image are left out (failed downloads)",
                    ),
                    self.lonely[TEXT],
                ),
            )
            if stems
        ]
        return [*left_out, *self.tree.passed_over(), *self._of_encoding()]

    def _of_encoding(self):
        """A sentence on captions that are read as GBK, for which some of the files are looked at."""
        for name, raw in () if self.encoding else self._looked_at():
            if GB in (codec_of_text(raw), self._encoding(raw)):
                yield (
                    f"{self.name}: captions that are not UTF-8 are read as {NAMES[GB]} where they are that by "
                    f"their bytes, for example {name_text(name)}"
                )
                return

    def _looked_at(self):
        """Yield the name and the bytes of captions that stand for all."""
        for index in range(0, len(self), -(-len(self) // LOOKED_AT)):
            for part in (TEXT, JSON):
                with contextlib.suppress(RowError):
                    if raw := self._read(index, part):
                        yield self.stems[index][0] + self.stems[index][1][part], raw

    def _encoding(self, *parts):
        """The encoding of a sample's captions: the one that is named, or GB where they are too short to tell, and the
        captions of the others are GB."""
        if self.encoding or not all(part is None or can_be_gb(part) for part in parts):
            return self.encoding
        if self.is_gb is None:
            evidence = Evidence()
            for _, raw in self._looked_at():
                evidence.see(memoryview(raw))
            self.is_gb = evidence.codec == GB
        return GB if self.is_gb else ""

    def _default_id(self, index):
        stem, _ = self.stems[index]
        return self.prefix + self.texts.get(stem, stem)

    def _read(self, index, part):
        """Bytes of a caption part, None where there is none."""
        stem, suffixes = self.stems[index]
        if part not in suffixes:
            return None
        where = self.where(index)
        try:
            with open(self.tree.path(stem + suffixes[part], where), "rb") as handle:
                data = handle.read(LIMITS[part] + 1)
        except OSError as error:
            if exhausted(error):
                raise
            raise RowError(
                where,
                "unusable path",
                f"the {TITLES[part]} part cannot be read ({error.strerror or error})",
                advice(error, "correct its permissions"),
            ) from None
        if len(data) > LIMITS[part]:
            raise RowError(where, "part too long", f"the {TITLES[part]} part is over 1 MiB", "write it shorter")
        return data


def holds_stems(path: str | os.PathLike) -> bool:
    """Whether a folder, or one of the first below it, holds an image beside a .txt or .json of its stem."""
    for folder, names in first_folders(path):
        if any(IMAGE in parts and len(parts) > 1 for parts in parts_of_stems(folder, names).values()):
            return True
    return False


def parts_of_stems(folder: str | os.PathLike, names: Iterable[str]) -> dict[str, dict[int, str]]:
    """{stem: {part: suffix}} of the files of a folder, without litter.

    A file of another suffix, or of none, is the image of captions that lack one where it begins as an image does.
    """
    found, others = {}, []
    for name in sorted(names):
        stem, suffix = os.path.splitext(name)
        part = PART_OF_SUFFIX.get(suffix.lower())
        if is_litter(name):
            continue
        if part is None:
            others += [(name, stem), (name, name)]
        else:
            found.setdefault(stem, {}).setdefault(part, suffix)
    for name, stem in others:
        parts = found.get(stem)
        if parts and IMAGE not in parts and has_picture_head(os.path.join(folder, name)):
            parts[IMAGE] = name.removeprefix(stem)
    return found

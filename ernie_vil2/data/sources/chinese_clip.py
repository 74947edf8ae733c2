"""Chinese-CLIP's files: `{split}_imgs.tsv` (id TAB base64) and `{split}_texts.jsonl` ({text_id, text, image_ids}).

Format: the README of OFA-Sys/Chinese-CLIP, "Dataset format preparation". A sample is an image with all its texts.
"""

import glob
import os
from pathlib import Path
from typing import SupportsIndex

import numpy as np

from ...errors import DataError, nearest
from ...files.paths.names import name_text
from ...messages import counted
from . import fields
from .base import RowError, Sample, Source, digest, without_front
from .lines import MAX_LINE_BYTES, LineFile
from .pictures import clash
from .rows.images import decode_base64
from .rows.texts import decode_utf8, json_object, shorten

HEAD_BYTES = 256
CLASHING = "image has", "images have"


class Grouping:
    """Which texts belong to which image, by 16 bytes a pair: rows of images that have texts, and the texts of each.

    image_ids: uint64 [images] digests of the ids, in the order of the file; pairs: uint64 [P] digests of the ids that
    the texts name, and int64 [P] numbers of these texts. `rows`: int64 [samples] images that have texts.
    """

    def __init__(self, image_ids: np.ndarray, pair_ids: np.ndarray, pair_texts: np.ndarray):
        order = np.argsort(image_ids, kind="stable")
        sorted_ids = image_ids[order]
        first = np.r_[True, sorted_ids[1:] != sorted_ids[:-1]] if len(order) else np.zeros(0, bool)
        self.repeated = np.sort(order[~first])
        known, rows = sorted_ids[first], order[first]
        self.originals = rows[np.searchsorted(known, image_ids[self.repeated])]
        at = np.minimum(np.searchsorted(known, pair_ids), len(known) - 1)
        named = known[at] == pair_ids if len(known) else np.zeros(len(pair_ids), bool)
        self.lost_texts = pair_texts[~named]
        image, text = rows[at[named]], pair_texts[named]
        by_image = np.argsort(image, kind="stable")
        self._texts = text[by_image]
        self.rows, starts = np.unique(image[by_image], return_index=True)
        self._ends = np.r_[starts, len(text)]
        self.lost_images = np.setdiff1d(rows, self.rows)

    def texts(self, row: int) -> np.ndarray:
        """Numbers of the texts of a sample."""
        return self._texts[self._ends[row] : self._ends[row + 1]]


class ChineseClipSource(Source):
    """The images of `{split}_imgs.tsv` in a folder that have a text in `{split}_texts.jsonl`.

    Ids of images are compared as text: 7 and "7" are one id. What has no partner is left out and counted in `notes`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        split: str = "train",
        max_line_bytes: int = MAX_LINE_BYTES,
        encoding: str = "",
    ):
        self.folder, self.name, self.split, self.prefix = Path(path), f"{name_text(path)} ({split})", split, ""
        images, texts = (self.folder / f"{split}_{part}" for part in ("imgs.tsv", "texts.jsonl"))
        for file in (images, texts):
            if not file.is_file():
                raise DataError(f"{file}: the file does not exist; {other_split(self.folder, split)}")
        self.images, self.texts = (LineFile(file, max_line_bytes, encoding) for file in (images, texts))
        self.bad_texts = []
        image_ids = np.fromiter(
            (digest(head.partition(b"\t")[0].strip()) for head in self.images.heads(HEAD_BYTES)),
            np.uint64,
            len(self.images),
        )
        named, numbers = self._named()
        self.groups = Grouping(image_ids, np.array(named, np.uint64), np.array(numbers, np.int64))
        self.clashes = self._clashes()
        if not len(self):
            raise DataError(
                f"{self.name}: no text names an image of {images.name}; give a split whose texts have image_ids"
            )

    def __len__(self):
        return len(self.groups.rows)

    def load(self, index: int) -> Sample:
        line = int(self.groups.rows[index])
        where = self.images.where(line)
        image_id, image = self._image(line, where)
        texts = tuple(text for number in self.groups.texts(index) for text in self._text(int(number))[0])
        return Sample(self.prefix + image_id, decode_base64(image, where), texts, (), where)

    def where(self, index: SupportsIndex) -> str:
        return self.images.where(int(self.groups.rows[self.position(index)]))

    def key(self, index: SupportsIndex) -> str:
        index = self.position(index)
        return self.prefix + self._image(int(self.groups.rows[index]), self.where(index), head=HEAD_BYTES)[0]

    def qualify_ids(self, folders: bool = True) -> None:
        self.prefix = f"{name_text(self.folder)}/{self.split}#"

    def own_id(self, index: int, key: str) -> str:
        return without_front(key, self.prefix)

    def describe(self) -> str:
        return f"{self.name}: {counted(len(self), 'image')} with texts, {self.images.size / 1e6:,.1f} MB"

    @property
    def notes(self) -> list[str]:
        groups = self.groups
        found = (
            (
                "image that no text names is left out",
                "images that no text names are left out",
                groups.lost_images,
                self.images,
            ),
            (
                "image repeats the id of an earlier one and is left out",
                "images repeat the id of an earlier one and are left out",
                groups.repeated,
                self.images,
            ),
            (
                "name of an image in the texts is not in the images, and is left out",
                "names of images in the texts are not in the images, and are left out",
                groups.lost_texts,
                self.texts,
            ),
        )
        notes = [
            f"{self.name}: {counted(len(rows), one, several)}, for example {lines.where(int(rows[0]))}"
            for one, several, rows, lines in found
            if len(rows)
        ]
        if self.clashes:
            notes.append(
                f"{self.name}: {counted(len(self.clashes), *CLASHING)} the id of an earlier one with another picture; "
                f"the first: {self.clashes[0]}"
            )
        if self.bad_texts:
            notes.append(
                f"{self.name}: {counted(len(self.bad_texts), 'text')} cannot be used; the first: {self.bad_texts[0]}"
            )
        return [*notes, *self.images.notes, *self.texts.notes]

    def _clashes(self):
        """Sentences on the images whose id an earlier one has with another picture."""
        found = []
        for line, first in zip(self.groups.repeated.tolist(), self.groups.originals.tolist(), strict=True):
            where, earlier = self.images.where(line), self.images.where(first)
            try:
                (key, image), (_, original) = self._image(line, where), self._image(first, earlier)
                if decode_base64(image, where) != decode_base64(original, earlier):
                    found.append(str(clash(where, key, earlier)))
            except RowError:
                continue  # such a row is named when it is read
        return found

    def _named(self):
        """([digest of an image id], [row of the text]) of all pairs; a bad text is remembered and left out."""
        named, numbers = [], []
        for number in range(len(self.texts)):
            try:
                ids = self._text(number)[1]
            except RowError as error:
                self.bad_texts.append(str(error))
                continue
            named.extend(digest(image_id.encode()) for image_id in ids)
            numbers.extend([number] * len(ids))
        return named, numbers

    def _text(self, number):
        """((captions), [ids of its images]) of a line of the texts; raises RowError."""
        where = self.texts.where(number)
        text = decode_utf8(self.texts.read(number), where, "line")
        row = json_object(text, where, '{"text_id": ..., "text": ..., "image_ids": [...]}')
        ids = row.get("image_ids")
        if not isinstance(ids, list) or not all(type(item) in (int, str) for item in ids):
            raise RowError(where, "bad ids", f"image_ids is {shorten(ids)}", "make it a list of the images' ids")
        return fields.captions({"text": row.get("text")}, where), [str(item).strip() for item in ids]

    def _image(self, line, where, head=None):
        """(id, base64) of a line of the images; raises RowError."""
        columns = self.images.read(line, head=head).split(b"\t")
        if len(columns) != 2:
            raise RowError(
                where,
                "wrong number of columns",
                f"the line has {len(columns)} columns instead of 2",
                "write the id and the base64 image, separated by a tab",
            )
        return decode_utf8(columns[0].strip(), where, "image id"), columns[1]


def other_split(folder: str | os.PathLike, split: str) -> str:
    """What to do when a split is not there."""
    found = sorted(os.path.basename(path).removesuffix("_imgs.tsv") for path in glob.glob(f"{folder}/*_imgs.tsv"))
    close = nearest(split, found) or next(iter(found), None)
    return f"set split: {close}" if close and close != split else "add the file, or correct the path"

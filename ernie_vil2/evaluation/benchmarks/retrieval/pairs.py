"""What a reader gives: images, texts and which belong together; ids that come twice or lead nowhere are refused."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ....errors import DataError
from ..benchmark_folder import ImageFiles, MissingFile
from ..counts import check_counts


@dataclass(frozen=True)
class Pairs:
    """A benchmark under one protocol, read but not measured.

    name: `coco-cn@1053`. images: a path, the bytes or the pixels (RGB uint8 [H, W, 3]) of each
    image by row, taken when they are needed. pairs: int64
    [P, 2], (text row, image row) of all positives. rule: how it is measured, one of `rules.RULES`. files: {name:
    SHA-256} of the files of texts. grades: int64 [G, 3], (text row, image row, label), for graded relevance. boxes:
    float32 [n, 4] of each image by row, None for those of which none are known.
    """

    name: str
    image_ids: tuple[str, ...]
    images: Any
    texts: tuple[str, ...]
    pairs: np.ndarray
    files: dict[str, str]
    rule: str = "standard"
    notes: tuple[str, ...] = ()
    grades: np.ndarray | None = None
    boxes: tuple[np.ndarray | None, ...] | None = None

    def place(self, row: int) -> str:
        """Where an image comes from, for a message."""
        where = getattr(self.images, "where", None)
        return where(row) if where else str(self.images[row])


class Builder:
    """Collects rows in the order of the files.

    `name`: of the result; `allow`: whether less than all will do; `what`: what an image is, for a message.
    """

    def __init__(self, name: str, allow: bool = False, what: str = "image") -> None:
        self.name, self.allow, self.notes, self.what = name, allow, [], what
        self.rows, self.wheres, self.parents, self.boxes = {}, [], [], []
        self.texts, self.links, self._text_ids = [], [], {}

    def add_image(self, image_id: str, where: str, parent: str = "", boxes: np.ndarray | None = None) -> None:
        """One more image; `parent` is the folder that it is published in. DataError when the id is known."""
        if image_id in self.rows:
            raise DataError(
                f"{where}: {self.what} {image_id!r} was already named at {self.wheres[self.rows[image_id]]}; "
                "keep one of the two"
            )
        self.rows[image_id] = len(self.wheres)
        self.wheres.append(where)
        self.parents.append(parent)
        self.boxes.append(boxes)

    def add_text(self, text: str, image_ids: Iterable[str], where: str, text_id: str | None = None) -> None:
        """One more text and the ids of its images; DataError for a known `text_id` and for an unknown image."""
        if text_id is not None and self._text_ids.setdefault(text_id, where) != where:
            raise DataError(
                f"{where}: text {text_id!r} was already given at {self._text_ids[text_id]}; keep one of the two"
            )
        for image_id in image_ids:
            if image_id not in self.rows:
                raise DataError(
                    f"{where}: the text belongs to image {image_id!r}, which is not among the "
                    f"{len(self.rows):,} images of {self.name}; correct the id, or complete the images"
                )
            self.links.append((len(self.texts), self.rows[image_id]))
        self.texts.append(text)

    def from_files(
        self,
        index: ImageFiles,
        files: dict[str, str],
        wanted: Mapping[str, int | range],
        place: Path,
        source: str,
        **more: Any,
    ) -> Pairs:
        """Pairs whose images are files of `index` (ImageFiles). MissingFile for missing ones.

        wanted: known counts of "images" and "captions"; place: the folder, for a message; source: where the images
        can be had. With `allow`, missing images are left out with their texts and noted.
        """
        paths = [index.path(key, parent) for key, parent in zip(self.rows, self.parents, strict=True)]
        missing = [row for row, path in enumerate(paths) if path is None]
        if missing:
            first = list(self.rows)[missing[0]]
            found = f"missing {self.what}s: {len(missing):,} of {len(paths):,}"
            if not self.allow or len(missing) == len(paths):
                raise MissingFile(
                    f"{self.what} {first!r}, named at {self.wheres[missing[0]]}, is not in {index.places()} "
                    f"({found}); {source}"
                )
            self.notes.append(f"{found}, left out with their texts, the first is {first!r}")
        return self.finish(paths, files, wanted, place, keep=[path is not None for path in paths], **more)

    def finish(
        self,
        images: Sequence[Any],
        files: dict[str, str],
        wanted: Mapping[str, int | range],
        place: Path,
        keep: Sequence[bool] | None = None,
        grades: np.ndarray | None = None,
        **more: Any,
    ) -> Pairs:
        """Pairs with the images given (a sequence by row), after the counts have been checked."""
        links, ids, texts = np.array(self.links, np.int64).reshape(-1, 2), tuple(self.rows), self.texts
        boxes = self.boxes
        if keep is not None and not all(keep):
            keep = np.array(keep)
            boxes = [boxes[row] for row in np.flatnonzero(keep)]
            links, ids, images, texts, grades = without(~keep, links, ids, images, texts, grades)
        if not len(links):
            raise DataError(f"{self.name}: {place} holds no {self.what} with a text; complete the files")
        found = {
            "images": len(ids),
            "captions": len(texts),
            "queries": len(texts),
            "documents": len(ids),
            "videos": len(ids),
            "graded pairs": 0 if grades is None else len(grades),
        }
        notes = (*self.notes, *check_counts(self.name, place, found, wanted, self.allow, self.notes))
        known = None if all(found is None for found in boxes) else tuple(boxes)
        return Pairs(
            self.name, ids, images, tuple(texts), links, files, notes=notes, grades=grades, boxes=known, **more
        )


class Kept:
    """Some rows of a sequence of images, still taken when they are needed."""

    def __init__(self, images: Sequence[Any], rows: np.ndarray) -> None:
        self.images, self.rows = images, rows

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, row: int) -> Any:
        return self.images[self.rows[row]]

    def where(self, row: int) -> str:
        """The place of an image, for a message."""
        place = getattr(self.images, "where", None)
        return place(self.rows[row]) if place else str(self[row])


def without(
    gone: np.ndarray,
    links: np.ndarray,
    ids: Sequence[str],
    images: Sequence[Any],
    texts: Sequence[str],
    grades: np.ndarray | None,
) -> tuple[np.ndarray, tuple[str, ...], Kept, list[str], np.ndarray | None]:
    """Links, ids, images, texts and grades without the images `gone` [images], and the texts left with none."""
    image_row = np.cumsum(~gone) - 1
    linked = links if grades is None else grades
    lonely = np.ones(len(texts), bool)
    lonely[linked[~gone[linked[:, 1]], 0]] = False
    text_row = np.cumsum(~lonely) - 1

    def moved(table):
        table = table[~gone[table[:, 1]]].copy()
        table[:, 0], table[:, 1] = text_row[table[:, 0]], image_row[table[:, 1]]
        return table

    rows = np.flatnonzero(~gone)
    return (
        moved(links),
        tuple(ids[row] for row in rows),
        Kept(images, rows),
        [text for text, left in zip(texts, lonely, strict=True) if not left],
        None if grades is None else moved(grades),
    )

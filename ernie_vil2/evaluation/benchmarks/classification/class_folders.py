"""Readers of images in a folder per class: Chinese-CLIP's numbered folders with a label file, and named folders."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ....data.images.formats.kinds import SUFFIXES, has_picture_head
from ....errors import DataError
from ....files.paths.litter import is_litter
from ....files.paths.names import name_text
from ..benchmark_folder import readable
from ..reading import Reading, find, missing, rows

LABEL_FILES = {"zh": "label_cn.txt", "en": "label.txt"}
SPLIT_FOLDERS = {"test": ("test", "val"), "val": ("val", "test")}
WORDNET = re.compile(r"n\d{8}")
SEPARATORS = re.compile(r"[,，、;；]")


@dataclass
class ClassifiedImages:
    """A classification set. classes: the names of each class, synonyms after each other. labels: int64 [N], or marks
    int8 [N, C] where an image has several classes: 1 has it, -1 has it not, 0 is not counted."""

    classes: list[tuple[str, ...]]
    images: list[Path]
    labels: np.ndarray


def read_numbered(
    folder: str | Path,
    reading: Reading,
    split: str = "test",
    language: str = "zh",
    synonyms: bool = True,
    source: str = "",
) -> ClassifiedImages:
    """ClassifiedImages of Chinese-CLIP's form: a label file, and `split/<line of the class, from 0>/*.jpg`.

    ImageNet's own folders (n01440764 ...) stand for their lines in alphabetical order. Raises DataError that names
    what is missing and where it is obtained, and the folder that no line belongs to.
    """
    folder = Path(folder)
    label_file, place = find([folder], [LABEL_FILES[language]]), split_folder(folder, split)
    if label_file is None or place is None:
        names = [LABEL_FILES[language]] if label_file is None else [f"folder {split}"]
        raise missing(folder, names, source)
    classes = [split_names(text, where, synonyms) for where, text in rows(label_file, reading)]
    below = subfolders(place)
    if below and all(WORDNET.fullmatch(name) for name in below):
        if len(below) != len(classes):
            raise DataError(
                f"{place} has {len(below)} folders but {label_file} {len(classes)} lines; folders that are "
                "not numbered must be one a line, in alphabetical order"
            )
        lines = range(len(below))
    else:
        lines = [class_line(place / name, len(classes), label_file) for name in below]
    images, labels = [], []
    for line, name in zip(lines, below, strict=True):
        found = image_files(place / name)
        images.extend(found)
        labels.extend([line] * len(found))
    return classified(classes, images, labels, place, reading)


def split_folder(folder: str | Path, split: str) -> Path | None:
    """The folder of a split, or None; `test` and `val` stand for each other where only one is there."""
    return find([folder], SPLIT_FOLDERS.get(split, (split,)))


def read_folder(folder: str | Path, reading: Reading) -> ClassifiedImages:
    """ClassifiedImages of `folder/<class>/*.jpg`; classes.txt (`folder TAB name, synonym`) gives better names."""
    folder = Path(folder)
    below = subfolders(folder)
    if not below:
        raise DataError(f"{folder} has no sub-folder; make one for every class and put its images there")
    names = {}
    if (folder / "classes.txt").is_file():
        for where, text in rows(folder / "classes.txt", reading):
            key, tab, name = text.partition("\t")
            if not tab or key not in map(name_text, below) or key in names:
                what = (
                    "has no tab between folder and name"
                    if not tab
                    else f"names the folder {key!r}, which " + ("stood before" if key in names else "is not there")
                )
                raise DataError(f"{where}: the line {what}; write a line `folder TAB name` for every sub-folder")
            names[key] = split_names(name, where)
        if len(names) < len(below):
            lonely = next(name for name in map(name_text, below) if name not in names)
            raise DataError(f"{folder / 'classes.txt'}: no line for the folder {lonely!r}; add one")
    classes = [names.get(name_text(name)) or (name_text(name).replace("_", " "),) for name in below]
    images, labels = [], []
    for line, name in enumerate(below):
        found = image_files(folder / name)
        images.extend(found)
        labels.extend([line] * len(found))
    return classified(classes, images, labels, folder, reading)


def classified(
    classes: list[tuple[str, ...]], images: list[Path], labels: list[int], place: Path, reading: Reading
) -> ClassifiedImages:
    """ClassifiedImages with labels as an array; the names of the files go into the checksum."""
    if not images:
        raise DataError(
            f"{place} has no image in its folders ({', '.join(SUFFIXES[:8])} and the like); give the folder "
            "that holds a folder of images for every class"
        )
    for path in images:
        reading.text(os.path.relpath(path, place))
    labels = np.array(labels, np.int64)
    empty = len(classes) - len(np.unique(labels))
    if empty:
        reading.notes.append(f"{empty} of {len(classes)} classes have no image; they are candidates but not measured")
    return ClassifiedImages(classes, images, labels)


def split_names(text: str, where: str, synonyms: bool = True) -> tuple[str, ...]:
    """The synonyms in a line, parted by commas, 、 or semicolons outside of brackets; not parted without `synonyms`."""
    names = [text.strip()]
    if synonyms:
        outside = re.sub(r"[(（].*?[)）]", lambda match: "\0" * len(match.group()), text)
        cuts = [match.start() for match in SEPARATORS.finditer(outside)]
        parts = zip([0, *cuts], [*cuts, len(text)], strict=True)
        names = [text[first:last].strip(" \t,，、;；") for first, last in parts]
    names = tuple(dict.fromkeys(name for name in names if name))
    if not names:
        raise DataError(f"{where}: the line has no name of a class; write one")
    return names


def class_line(folder: Path, count: int, label_file: Path) -> int:
    """The line of the class that a numbered folder belongs to."""
    if not folder.name.isdecimal() or int(folder.name) >= count:
        raise DataError(
            f"{folder} belongs to none of the {count} lines of {label_file}; folders are called "
            f"0 to {count - 1}, with leading zeros or not"
        )
    return int(folder.name)


def subfolders(folder: Path) -> list[str]:
    """Names of the folders in a folder, sorted, without hidden ones."""
    readable(folder)
    return sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not is_litter(entry.name))


def image_files(folder: Path) -> list[Path]:
    """Paths of the image files in a folder, sorted by name, without litter; of another suffix, or of none, those
    that begin as an image does."""
    readable(folder)
    return sorted(
        Path(entry.path)
        for entry in os.scandir(folder)
        if not is_litter(entry.name) and (entry.name.lower().endswith(SUFFIXES) or has_picture_head(entry.path))
    )

"""Readers of labelled images: NUS-WIDE's files, COCO's instances, and the lists of the hashing papers."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ....data.sources.rows.texts import shorten
from ....errors import DataError
from ....files.json_files import read_json
from ....files.text import read_text
from ..counts import check_count
from ..reading import Reading, find, missing, rows

NUS_WIDE = {"Test": 107859, "Train": 161789}
NUS_WIDE_LIST = "{}Imagelist.txt"
NUS_WIDE_LABELS = ("Groundtruth/TrainTestLabels", "TrainTestLabels")
NUS_WIDE_IMAGES = ("Flickr", "images", "Images", "image")
KNOWN_FAULT = ("Labels_lake_Train.txt", 78372, "-1130179")
"""The one line of the published ground truth that is neither 0 nor 1; it is read as 0."""
COCO_KEYS = {"images", "annotations", "categories", "id", "file_name", "name", "image_id", "category_id"}
FIRST_LINES = 20
"""Lines of a list that tell how many labels there are."""
COCO = {"val2017": 5000, "val2014": 40504, "train2017": 118287, "train2014": 82783}


@dataclass(frozen=True, kw_only=True)
class Options:
    """database: "train" or "self", each query against the other images of its split; default train for NUS-WIDE, self
    for COCO; lists have their own. queries: at most that many, evenly spaced. concepts (NUS-WIDE): only the most
    frequent ones, 21 in the hashing papers. allow_counts: other numbers of images than published are a note.
    skip_broken: leave out images that are missing or broken. window: images encoded together. images: their folder."""

    database: str | None = None
    queries: int | None = None
    concepts: int | None = None
    allow_counts: bool = False
    skip_broken: bool = False
    window: int | None = None
    images: str | Path | None = None


@dataclass
class LabelledImages:
    """paths: of the images, in the order of the rows. marks: bool [N, L]. names: of the labels, where they have some.
    where: function row -> the place that names the image."""

    paths: list[Path]
    marks: np.ndarray
    names: list[str]
    where: Callable[[int], str]


# NUS-WIDE


def nus_wide_splits(folder: Path) -> list[str]:
    """Which of Test and Train a folder has an image list of."""
    return [split for split in NUS_WIDE if image_list(folder, split)]


def image_list(folder: Path, split: str) -> Path | None:
    """The path of NUS-WIDE's image list of a split, or None."""
    return find([folder], [f"{place}{NUS_WIDE_LIST.format(split)}" for place in ("ImageList/", "")])


def read_nus_wide(
    folder: Path, split: str, reading: Reading, options: Options, concepts: Sequence[str] = ()
) -> LabelledImages:
    """LabelledImages of `ImageList/<split>Imagelist.txt` (paths with backslashes) and, for every concept,
    `Groundtruth/TrainTestLabels/Labels_<concept>_<split>.txt` (0 or 1 a line).

    concepts: only these, in this order; without them as options.concepts says. Raises DataError naming file and line.
    """
    path = image_list(folder, split)
    places, names = zip(*rows(path, reading), strict=True)
    reading.notes.extend(check_count(f"{path}: images", len(names), NUS_WIDE[split], options.allow_counts))
    labels = find([folder], NUS_WIDE_LABELS)
    ending = f"_{split}.txt"
    found = sorted(entry.name for entry in labels.glob(f"Labels_*{ending}")) if labels else []
    if not found:
        raise missing(folder, [f"{NUS_WIDE_LABELS[0]}/Labels_*{ending}"], "download Groundtruth.zip of NUS-WIDE")
    reading.notes.extend(check_count(f"{labels}: concepts of {split}", len(found), 81, options.allow_counts))
    chosen = list(concepts) or [name[len("Labels_") : -len(ending)] for name in found]
    marks = np.stack(
        [label_column(labels / f"Labels_{name}{ending}", len(names), path, reading) for name in chosen], axis=1
    )
    if options.concepts and not concepts:
        order = np.sort(np.argsort(-marks.sum(axis=0), kind="stable")[: options.concepts])
        marks, chosen = marks[:, order], [chosen[index] for index in order]
        reading.notes.append(f"only the {len(chosen)} most frequent concepts of {split}")
    files = [name.strip().replace("\\", "/") for name in names]
    paths = locate(files, folder, places, NUS_WIDE_IMAGES, options)
    return LabelledImages(paths, marks, chosen, places.__getitem__)


def label_column(path: Path, count: int, list_path: str | Path, reading: Reading) -> np.ndarray:
    """bool [count] of a file with 0 or 1 a line; DataError names the line that is neither."""
    if not path.is_file():
        raise missing(path.parent, [path.name], "download Groundtruth.zip of NUS-WIDE")
    values = np.array(read_text(reading.file(path)).split())
    if len(values) != count:
        raise DataError(f"{path} has {len(values):,} lines but {list_path} {count:,}; download both again")
    marks = values == "1"
    for line in np.flatnonzero(~marks & (values != "0")):
        if (path.name, line + 1, values[line]) != KNOWN_FAULT:
            raise DataError(
                f"{path}:{line + 1}: {str(values[line])[:40]!r} is neither 0 nor 1; download the file again"
            )
        reading.notes.append(f"{path.name}:{line + 1}, a known fault of the published file, is read as 0")
    return marks


# COCO


def coco_splits(folder: Path) -> list[str]:
    """Which splits a folder has instances of, val first."""
    return [split for split in COCO if coco_file(folder, split)]


def coco_file(folder: Path, split: str) -> Path | None:
    """The path of the instances of a split, or None."""
    return find([folder], [f"{place}instances_{split}.json" for place in ("annotations/", "")])


def read_coco(folder: Path, split: str, reading: Reading, options: Options) -> LabelledImages:
    """LabelledImages of COCO's `instances_<split>.json`: the labels of an image are the categories of its objects.

    The images lie in <split>/, images/<split>/ or options.images. Raises DataError naming file and image.
    """
    path = coco_file(folder, split)
    try:
        content = read_json(reading.file(path), needed, "download it again")
        files = {entry["id"]: str.strip(entry["file_name"]) for entry in content["images"]}
        categories = {entry["id"]: entry["name"] for entry in content["categories"]}
        pairs = [(entry["image_id"], entry["category_id"]) for entry in content["annotations"]]
        order = sorted(categories)
    except (KeyError, TypeError) as error:
        raise DataError(f"{path}: images, categories or annotations lack {error}; give COCO's instances file") from None
    reading.notes.extend(check_count(f"{path}: images", len(files), COCO[split], options.allow_counts))
    ids, column = list(files), {key: index for index, key in enumerate(order)}
    row = {key: index for index, key in enumerate(ids)}
    marks = np.zeros((len(files), len(categories)), bool)
    for image, category in pairs:
        if image not in row or category not in column:
            raise DataError(
                f"{path}: an annotation names image {shorten(image)} and category {shorten(category)}, one "
                "of which is not listed; download the file again"
            )
        marks[row[image], column[category]] = True
    places = [f"{path}: image {key}" for key in ids]
    paths = locate([files[key] for key in ids], folder, places, (split, f"images/{split}", "images"), options)
    return LabelledImages(paths, marks, [categories[key] for key in order], places.__getitem__)


def needed(entry: dict) -> dict:
    """An object of COCO's JSON without its outlines and boxes, which take most of the memory."""
    return {key: value for key, value in entry.items() if key in COCO_KEYS}


# Lists of the hashing papers


def read_list(path: Path, folder: Path, reading: Reading, options: Options) -> LabelledImages:
    """LabelledImages of lines `image 0 1 0 ...`, a mark per label, as the hashing papers hand them round.

    Leading folders of an image's name that do not exist below `folder` are dropped, since the lists carry those of the
    machine they were made on. Raises DataError naming file and line.
    """
    lines = list(rows(path, reading))
    width = max(trailing_marks(text) for _, text in lines[:FIRST_LINES])
    places, files, marks = [], [], []
    for where, text in lines:
        parts = text.rsplit(maxsplit=width)
        if not width or len(parts) != width + 1 or any(part not in ("0", "1") for part in parts[1:]):
            raise DataError(
                f"{where}: the line is not an image and {width or 'some'} marks 0 or 1 for its labels; "
                "correct or remove it"
            )
        places.append(where)
        files.append(parts[0].strip().replace("\\", "/"))
        marks.append(np.array(parts[1:]) == "1")
    paths = locate(files, folder, places, ("", *NUS_WIDE_IMAGES), options, drop=True)
    return LabelledImages(paths, np.stack(marks), [], places.__getitem__)


def trailing_marks(text: str) -> int:
    """How many 0 and 1 a line ends with."""
    parts = text.split()
    return next((count for count, part in enumerate(reversed(parts)) if part not in ("0", "1")), 0)


def locate(
    files: Sequence[str],
    folder: Path,
    places: Sequence[str],
    below: Iterable[str],
    options: Options,
    drop: bool = False,
) -> list[Path]:
    """Paths of images named by a file, under options.images or the first of the folders `below` that has the first.

    A name may not lead out of its folder. A missing image is a DataError with its place; with skip_broken it stays, and
    is left out when it cannot be decoded.
    """
    bases = [Path(options.images)] if options.images else [Path(folder, place) for place in dict.fromkeys((*below, ""))]
    clean = [PurePosixPath(name).parts for name in files]
    for parts, place in zip(clean, places, strict=True):
        if not drop and (".." in parts or parts[:1] == ("/",)):
            raise DataError(f"{place}: the image {shorten('/'.join(parts))} lies outside the folder; name it inside")
    clean = [tuple(part for part in parts if part not in ("..", "/")) for parts in clean]
    cuts = range(max(map(len, clean))) if drop else (0,)
    base, cut = next(
        (
            (base, cut)
            for cut in cuts
            for base in bases
            if any(Path(base, *parts[cut:]).is_file() for parts in clean[:20] if parts[cut:])
        ),
        (bases[0], 0),
    )
    paths = [Path(base, *(parts[cut:] or parts[-1:])) for parts in clean]
    if not options.skip_broken:
        for path, place in zip(paths, places, strict=True):
            if not path.is_file():
                tried = "" if len(bases) == 1 else f" (looked for in {', '.join(map(str, bases))})"
                raise DataError(
                    f"{place}: the image {path} is missing{tried}; copy it, name the folder of the images, "
                    "or leave out what is missing with --skip-broken"
                )
    return paths

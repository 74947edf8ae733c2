"""AIC-ICC, the captions of AI Challenger 2017: the validation set, in papers its first 10,000 rows.

Whether a row is an image with its five captions or a pair of an image and a caption is told nowhere: `@10k-images` and
`@10k-pairs` are the two readings, `@30k` is the whole set. BriVL's files of captions and boxes are read as that release
reads them.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ....data.sources import fields
from ....data.sources.base import RowError
from ....data.sources.lines import LineFile
from ....data.sources.rows.texts import decode_utf8, json_object, shorten
from ....errors import ConfigError, DataError
from ....files.digests import sha256_of
from ..benchmark_folder import Folder, MissingFile, read_json
from . import clip_files
from .pairs import Builder, Pairs
from .protocols import Protocols

FILES = {"valid": "caption_validation_annotations_20170910.json", "train": "caption_train_annotations_20170902.json"}
BOXED = {"valid": "AIC_val_bbox.jsonl", "train": "AIC_trn_bbox.jsonl"}
EACH = 5
"""Captions of an image"""
EXAMPLE = '{"image_id": "...", "captions": ["..."], "bbox": [[x1, y1, x2, y2]]}'
ROWS = 10_000
COUNTS = {
    "10k-images": {"images": 10_000, "captions": 50_000},
    "10k-pairs": {"images": 2_000, "captions": 10_000},
    "30k": {"images": 30_000, "captions": 150_000},
    "train": {"images": 210_000, "captions": 1_050_000},
}
SOURCE = "it was given out to those registered on the page of AI Challenger 2017 (image captioning)"
FOLDERS = {"valid": "caption_validation_images_20170910", "train": "caption_train_images_20170902"}
IMAGES = f"the images are the folders {' and '.join(FOLDERS.values())} of the same archive"


def read(
    data: str | Path, protocol: str | None = "10k-images", split: str = "valid", allow_counts: bool = False
) -> Pairs:
    """Pairs from BriVL's JSON lines {image_id, captions, bbox}, from the JSON list of {image_id, caption: [5]}, or from
    Chinese-CLIP's files."""
    split = {"val": "valid"}.get(split, split)
    if split not in FILES:
        raise ConfigError(f"aic-icc has no split {split!r} with published captions; leave --split out")
    builder, folder = Builder(PROTOCOLS.title(protocol, split), allow_counts), Folder(data)
    wanted = COUNTS[protocol or ("30k" if split == "valid" else split)]
    path = folder.optional([BOXED[split], FILES[split]])
    if path is None:
        return read_clip(builder, folder, protocol, split, wanted)
    if path.name == BOXED[split]:
        builder.notes.append(f"captions of {path.name} without blanks, the first once more where there are not {EACH}")
    for number, row in enumerate(boxed_entries(path) if path.name == BOXED[split] else entries(path)):
        if protocol == "10k-images" and number == ROWS or protocol == "10k-pairs" and len(builder.texts) == ROWS:
            break
        key = row.image_id.removesuffix(".jpg")
        builder.add_image(key, row.where, FOLDERS[split], row.boxes)
        room = ROWS - len(builder.texts) if protocol == "10k-pairs" else len(row.texts)
        for text in row.texts[:room]:
            builder.add_text(fields.caption(text, row.where), [key], row.where)
    return builder.from_files(folder.images(), {path.name: sha256_of(path)}, wanted, folder.path, IMAGES)


class Entry(NamedTuple):
    """An image with its captions; boxes: float32 [n, 4], or None."""

    image_id: str
    texts: list[str]
    where: str
    boxes: np.ndarray | None = None


def entries(path: Path) -> Iterator[Entry]:
    """Yield the objects of the list; DataError names one that is wrong, counted from 1."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: the file holds no JSON list; copy it again")
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict) or not names_captions(row, "caption"):
            raise DataError(
                f"{path}, entry {number}: {shorten(row)} has no image_id with a list of captions; copy the file again"
            )
        yield Entry(row["image_id"], [text.strip() for text in row["caption"]], f"{path}, entry {number}")


def boxed_entries(path: Path) -> Iterator[Entry]:
    """Yield the rows of BriVL's file in order, captions as its release reads them; RowError names the line."""
    lines = LineFile(path)
    for number in range(len(lines)):
        where = lines.where(number)
        row = json_object(decode_utf8(lines.read(number), where, "line"), where, EXAMPLE)
        if not names_captions(row, "captions") or not row["captions"]:
            raise RowError(where, "no caption", "the row has no image_id with a list of captions", f"write {EXAMPLE}")
        texts = ["".join(text.split()) for text in row["captions"]]
        texts += texts[:1] if len(texts) != EACH else []
        yield Entry(row["image_id"], texts, where, fields.box_array(row.get("bbox"), where))


def names_captions(row: Mapping[str, Any], key: str) -> bool:
    """Whether a row has an image_id and a list of captions under `key`."""
    texts = row.get(key)
    good = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
    return good and isinstance(row.get("image_id"), str)


def read_clip(builder: Builder, folder: Folder, protocol: str | None, split: str, wanted: dict[str, int]) -> Pairs:
    """Pairs from Chinese-CLIP's files, whose order of images is taken for that of the set."""
    filled = clip_files.fill(builder, folder, split)
    if filled is None:
        raise MissingFile(
            f"{folder.path} lacks the captions, looked for as {FILES[split]}, as {BOXED[split]}, or as "
            f"{clip_files.names(split)}; {SOURCE}"
        )
    texts = np.bincount(np.array(builder.links, np.int64)[:, 1], minlength=len(builder.rows)).cumsum()
    keep = {"10k-images": np.arange(len(texts)) < ROWS, "10k-pairs": texts <= ROWS}.get(protocol)
    return builder.finish(*filled, wanted, folder.path, keep=keep)


PROTOCOLS = Protocols("aic-icc", ("10k-images", "10k-pairs", "30k"), "valid", read)
BENCHMARKS = {PROTOCOLS.name: PROTOCOLS.benchmark()}

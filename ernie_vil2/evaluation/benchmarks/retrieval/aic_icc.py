"""AIC-ICC, the captions of AI Challenger 2017: the validation set, in papers its first 10,000 rows.

Whether a row is an image with its five captions or a pair of an image and a caption is told nowhere: `@10k-images` and
`@10k-pairs` are the two readings, `@30k` is the whole set.
"""

from pathlib import Path

import numpy as np

from ....data.sources import fields
from ....data.sources.rows.texts import shorten
from ....errors import ConfigError, DataError
from ....files.digests import sha256_of
from ..benchmark_folder import Folder, MissingFile, read_json
from . import clip_files
from .pairs import Builder, Pairs
from .protocols import Protocols

FILES = {"valid": "caption_validation_annotations_20170910.json", "train": "caption_train_annotations_20170902.json"}
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
    """Pairs from the JSON list of {image_id, caption: [5]}, or from Chinese-CLIP's files."""
    split = {"val": "valid"}.get(split, split)
    if split not in FILES:
        raise ConfigError(f"aic-icc has no split {split!r} with published captions; leave --split out")
    builder, folder = Builder(PROTOCOLS.title(protocol, split), allow_counts), Folder(data)
    wanted, path = COUNTS[protocol or ("30k" if split == "valid" else split)], folder.optional([FILES[split]])
    if path is None:
        return read_clip(builder, folder, protocol, split, wanted)
    for number, row in enumerate(entries(path)):
        texts = row["caption"]
        if protocol == "10k-images" and number == ROWS or protocol == "10k-pairs" and len(builder.texts) == ROWS:
            break
        where = f"{path}, entry {number + 1}"
        builder.add_image(row["image_id"].removesuffix(".jpg"), where, FOLDERS[split])
        room = ROWS - len(builder.texts) if protocol == "10k-pairs" else len(texts)
        for text in texts[:room]:
            builder.add_text(fields.caption(text.strip(), where), [row["image_id"].removesuffix(".jpg")], where)
    return builder.from_files(folder.images(), {path.name: sha256_of(path)}, wanted, folder.path, IMAGES)


def entries(path: Path) -> list[dict]:
    """The objects of the list, checked; DataError names an entry, counted from 1."""
    rows = read_json(path)
    if not isinstance(rows, list):
        raise DataError(f"{path}: the file holds no JSON list; copy it again")
    for number, row in enumerate(rows, 1):
        texts = row.get("caption") if isinstance(row, dict) else None
        good = isinstance(texts, list) and all(isinstance(text, str) for text in texts)
        if not good or not isinstance(row.get("image_id"), str):
            raise DataError(
                f"{path}, entry {number}: {shorten(row)} has no image_id with a list of captions; copy the file again"
            )
    return rows


def read_clip(builder: Builder, folder: Folder, protocol: str | None, split: str, wanted: dict[str, int]) -> Pairs:
    """Pairs from Chinese-CLIP's files, whose order of images is taken for that of the set."""
    filled = clip_files.fill(builder, folder, split)
    if filled is None:
        raise MissingFile(
            f"{folder.path} lacks the captions, looked for as {FILES[split]}, or as {clip_files.names(split)}; {SOURCE}"
        )
    texts = np.bincount(np.array(builder.links, np.int64)[:, 1], minlength=len(builder.rows)).cumsum()
    keep = {"10k-images": np.arange(len(texts)) < ROWS, "10k-pairs": texts <= ROWS}.get(protocol)
    return builder.finish(*filled, wanted, folder.path, keep=keep)


PROTOCOLS = Protocols("aic-icc", ("10k-images", "10k-pairs", "30k"), "valid", read)
BENCHMARKS = {PROTOCOLS.name: PROTOCOLS.benchmark()}

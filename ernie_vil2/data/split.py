"""A source in two parts, to train on and to validate with: by image, and so that more rows move none of the old ones.

The side of a row is a keyed hash of its picture's bytes. So all captions of an image are on one side, with its copies
under other ids, and a larger share only takes images from the first side.
"""

import base64
import json
import math
import os
import sqlite3
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ..errors import ConfigError, DataError
from ..files.atomic import atomic_file, reported
from ..keys import stable_hash
from .sources.base import RowError, Sample, Source, require_sides
from .sources.lines import MAX_LINE_BYTES
from .sources.tar.seen import SeenPictures
from .sources.tar.write import png
from .sources.usable import read_row, row_error

SHOWN = 20
"""Bad rows that are named"""


@dataclass
class Part:
    """One side: the file that it is written to, its rows, and the ids among them."""

    path: Path
    rows: int = 0
    images: int = 0


@dataclass
class Split:
    """What was written: two parts, the number of rows that were left out, and sentences on the first of these."""

    train: Part
    valid: Part
    bad: int = 0
    reasons: list[str] = field(default_factory=list)


def write_split(
    source: Source,
    train: str | os.PathLike,
    valid: str | os.PathLike,
    share: float,
    seed: int = 0,
    embed: bool = False,
    progress: Callable[[Iterable[int]], Iterable[int]] = iter,
) -> Split:
    """Write `source` as two files of JSON lines, of which `valid` gets about `share` of the images.

    Ids, captions, tags and boxes stay. An image that is a file is named relative to the file of rows; others, and with
    `embed` all, stand in the rows as base64. Bad rows, also those whose id has another picture, are left out. Nothing
    is written where a side would be empty. Raises ConfigError for a share, a name or an image's place that will not do,
    DataError for an empty side and for a source of pictures or texts alone. progress: wraps the iterator of rows.
    """
    check_request(train, valid, share)
    require_sides(source, "a part to train on")
    split = Split(Part(Path(train)), Part(Path(valid)))
    base = sqlite3.connect("")  # a file that is nowhere to be seen, and gone with the process
    try:
        with (
            reported(split.valid.path),
            atomic_file(split.valid.path) as to_valid,
            reported(split.train.path),
            atomic_file(split.train.path) as to_train,
        ):
            seen, sides = SeenPictures(base, 0), ((split.train, to_train), (split.valid, to_valid))
            for row in progress(range(len(source))):
                try:
                    write_row(source, row, share, seed, embed, seen, sides)
                except RowError as error:
                    split.bad += 1
                    split.reasons += [str(error)] if len(split.reasons) < SHOWN else []
            check_sides(source, split, share)
    except sqlite3.Error as error:
        raise DataError(f"the ids of the images cannot be kept ({error}); free some space in /var/tmp") from None
    finally:
        base.close()
    return split


def check_request(train: str | os.PathLike, valid: str | os.PathLike, share: float) -> None:
    """ConfigError for a share, or names of parts, that will not do with any source."""
    if not (isinstance(share, (int, float)) and math.isfinite(share) and 0 < share < 1):
        raise ConfigError(f"the share is {share!r}; give a number between 0 and 1, such as 0.1")
    for path in map(Path, (train, valid)):
        if path.suffix.lower() not in (".jsonl", ".ndjson"):
            raise ConfigError(f"{path}: a part is written as JSON lines; name it {path.stem or 'part'}.jsonl")


def write_row(
    source: Source,
    row: int,
    share: float,
    seed: int,
    embed: bool,
    seen: SeenPictures,
    sides: tuple[tuple[Part, BinaryIO], ...],
) -> None:
    """Write one row to its side; RowError for one that is bad."""
    sample = read_row(source, row)
    try:
        digest, is_new = seen.check(source, sample, row)
    except DataError as error:
        raise row_error(sample.where, error) from None
    part, handle = sides[in_valid(digest, share, seed)]
    handle.write(line_of(sample, part.path, embed))
    part.rows += 1
    part.images += is_new


def in_valid(digest: str, share: float, seed: int) -> bool:
    """Whether a picture, by a digest of its bytes, is on the side with that share of all."""
    return stable_hash("split", seed, digest) + 2**63 < share * 2**64


def line_of(sample: Sample, path: Path, embed: bool) -> bytes:
    """The JSON line of a sample for a file of rows at `path`."""
    content: dict[str, Any] = {"id": sample.id}
    if isinstance(sample.image, Path) and not embed:
        content["image"] = relative(sample.image, path.parent)
    else:
        content["image_base64"] = str(base64.b64encode(image_bytes(sample)), "ascii")
    content["texts"] = list(sample.texts)
    if sample.tags:
        content["tags"] = list(sample.tags)
    if sample.boxes is not None:
        content["boxes"] = [list(box) for box in sample.boxes]
    try:
        line = f"{json.dumps(content, ensure_ascii=False)}\n".encode()
    except UnicodeEncodeError:
        fix = "rename the file, or embed the images"
        raise RowError(sample.where, "unusable image path", "the name of the image is no text", fix) from None
    if len(line) > MAX_LINE_BYTES:
        reason = f"the image makes a line of {len(line):,} bytes, over the limit of {MAX_LINE_BYTES:,}"
        raise RowError(sample.where, "line too long", reason, "shrink it")
    return line


def image_bytes(sample: Sample) -> bytes:
    """The bytes of a sample's image as a file has them; a drawn one becomes a PNG."""
    if isinstance(sample.image, np.ndarray):
        return png(sample.image)
    return sample.image.read_bytes() if isinstance(sample.image, Path) else sample.image


def relative(image: Path, folder: Path) -> str:
    """The path of an image below `folder`; ConfigError for one that readers of rows there would refuse."""
    if not os.path.realpath(image).startswith(os.path.join(os.path.realpath(folder), "")):
        raise ConfigError(
            f"the image {image} does not lie below {folder or '.'}, where the rows are to be written, and no reader "
            "follows a path out of that folder; write them beside the images, or embed these (--embed)"
        )
    name = os.path.relpath(os.path.abspath(image), os.path.abspath(folder))
    return os.path.relpath(os.path.realpath(image), os.path.realpath(folder)) if name.startswith(os.pardir) else name


def check_sides(source: Source, split: Split, share: float) -> None:
    """DataError where one of the sides has nothing."""
    images = split.train.images + split.valid.images
    for part, other in ((split.train, "smaller"), (split.valid, "larger")):
        if not part.rows:
            first = f"; the first bad row: {split.reasons[0]}" if split.reasons and not images else ""
            raise DataError(
                f"{source.name}: none of its {images:,} images falls to {part.path} at a share of {share:g}{first}; "
                f"give a {other} share, another seed, or more images"
            )

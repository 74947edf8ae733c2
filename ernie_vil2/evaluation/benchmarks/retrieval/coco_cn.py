"""COCO-CN: `@1053` human-written test captions, `@1k-official` as the release measured, `@5k` translated captions.

Source: Li et al., COCO-CN for Cross-Lingual Image Tagging, Captioning and Retrieval, version 201805.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from ....data.sources.line_files import TsvSource
from ....errors import ConfigError, DataError, nearest
from ....files.digests import sha256_of
from ..benchmark_folder import COCO_NAME, Folder, MissingFile, coco_key
from ..counts import check_counts
from . import clip_files
from .captions import read_captions, read_ids
from .pairs import Builder, Pairs
from .protocols import Protocols

SPLITS = ("test", "val", "train")
HUMAN = ("imageid.human-written-caption.txt", "imageid.human-written-caption.bosonseg.txt")
TRANSLATED = ("imageid.manually-translated-caption.txt", "imageid.manually-translated-caption.bosonseg.txt")
RELEASE = ("coco-cn_test.tsv", "coco_cn_test.tsv", "coco-cn.tsv")
COUNTS = {
    "1053": {"images": 1000, "captions": 1053},
    "1k-official": {"images": 1000, "captions": 1053},  # of the file; a caption of each image is taken
    "5k": {"images": 1000, "captions": 5000},
    "val": {"images": 1000, "captions": 1100},
    "train": {"images": 18341, "captions": 20065},
}
TAKEN = {"images": 1000, "captions": 1000}
SOURCE = "the captions are the archive coco-cn-version1805v1.1 on the project page li-xirong/coco-cn"
IMAGES = "the images are train2014 and val2014 from the download page of COCO"


def read(data: str | Path, protocol: str | None = "1053", split: str = "test", allow_counts: bool = False) -> Pairs:
    """Pairs of COCO-CN from the published files, Chinese-CLIP's, or (1k-official) the release's TSV."""
    if split not in SPLITS:
        close = nearest(split, SPLITS)
        raise ConfigError(
            f"coco-cn has no split {split!r}; "
            + (f"did you mean {close!r}?" if close else f"known are {', '.join(SPLITS)}")
        )
    builder = Builder(PROTOCOLS.title(protocol, split), allow_counts)
    if Path(data).is_file():
        if protocol != "1k-official":
            raise MissingFile(
                f"{data} is one file, which is the release's form for coco-cn@1k-official; give the "
                "folder of COCO-CN's files"
            )
        return read_release(builder, Path(data))
    folder = Folder(data)
    release = folder.optional(RELEASE) if protocol == "1k-official" else None
    if release:
        return read_release(builder, release)
    wanted = COUNTS[protocol or split]
    names = TRANSLATED if protocol == "5k" else HUMAN
    if folder.optional([f"coco-cn_{split}.txt"]) or folder.optional(names):
        pairs = read_published(builder, folder, names, split, wanted)
    else:
        pairs = read_clip(builder, folder, protocol, split, wanted)
    return first_captions(pairs, folder.path, allow_counts) if protocol == "1k-official" else pairs


def read_published(
    builder: Builder, folder: Folder, names: tuple[str, ...], split: str, wanted: dict[str, int]
) -> Pairs:
    """Pairs from the list of a split and a file of captions."""
    listed = folder.find([f"coco-cn_{split}.txt"], f"the list of {split} images", SOURCE)
    path = folder.find(names, "the captions", SOURCE)
    for image, where in read_ids(listed):
        builder.add_image(image, where)
    elsewhere, strangers = other_splits(folder, split), []
    for caption in read_captions(path, segmented="bosonseg" in path.name):
        if caption.image in builder.rows or names is TRANSLATED:  # only the test images were translated
            builder.add_text(caption.text, [caption.image], caption.where, caption.key)
        elif elsewhere is not None and caption.image in elsewhere:
            continue
        elif not COCO_NAME.fullmatch(caption.image):
            raise DataError(
                f"{caption.where}: the line begins with {caption.image!r}, which names no image of COCO; "
                "write `COCO_val2014_000000391895#0`, a tab and the sentence, or remove the line"
            )
        elif elsewhere is not None:
            strangers.append(caption.where)
    if strangers:
        builder.notes.append(
            f"captions left out because no list names their image: {len(strangers):,}, the first at {strangers[0]}"
        )
    return builder.from_files(
        folder.images(coco_key), {file.name: sha256_of(file) for file in (listed, path)}, wanted, folder.path, IMAGES
    )


def other_splits(folder: Folder, split: str) -> set[str] | None:
    """Images of the other splits, or None where not all their lists are there."""
    lists = [folder.optional([f"coco-cn_{other}.txt"]) for other in SPLITS if other != split]
    return {image for path in lists for image, _ in read_ids(path)} if all(lists) else None


def read_clip(builder: Builder, folder: Folder, protocol: str | None, split: str, wanted: dict[str, int]) -> Pairs:
    """Pairs from Chinese-CLIP's files; which captions these are is told by how many an image has."""
    filled = clip_files.fill(builder, folder, split)
    if filled is None:
        name = (TRANSLATED if protocol == "5k" else HUMAN)[0]
        raise MissingFile(
            f"{folder.path} lacks the captions, looked for as coco-cn_{split}.txt with {name}, or as "
            f"{clip_files.names(split)}; {SOURCE}"
        )
    translated = len(builder.texts) > 3 * len(builder.rows)
    if translated != (protocol == "5k"):
        raise MissingFile(
            f"{folder.path} holds the {'translated' if translated else 'human-written'} captions, by "
            f"their number of {len(builder.texts):,}; {SOURCE}"
        )
    images, files = filled
    return builder.finish(images, files, wanted, folder.path)


def first_captions(pairs: Pairs, place: Path, allow: bool) -> Pairs:
    """Every image with its first caption alone, row by row; notes on counts are those of what is taken."""
    rows, first = np.unique(pairs.pairs[:, 1], return_index=True)
    found = {"images": len(pairs.image_ids), "captions": len(pairs.texts)}
    of_file = check_counts(pairs.name, place, found, COUNTS["1k-official"], True)
    taken = check_counts(pairs.name, place, {**found, "captions": len(rows)}, TAKEN, allow)
    notes = [note for note in pairs.notes if not taken or note not in of_file]
    return replace(
        pairs,
        texts=tuple(pairs.texts[text] for text in pairs.pairs[first, 0]),
        pairs=np.stack([np.arange(len(rows)), rows], axis=1),
        rule="row_by_row",
        notes=(
            *notes,
            *taken,
            "of each image the first caption in the order of the file was taken; which "
            "one the release took is not public",
        ),
    )


def read_release(builder: Builder, path: Path) -> Pairs:
    """Pairs from lines `text TAB image id TAB base64 image`; the image of an id is that of its first line."""
    source, lines = TsvSource(path), []
    for index in range(len(source)):
        sample = source[index]
        if sample.id not in builder.rows:
            builder.add_image(sample.id, sample.where)
            lines.append(index)
        builder.add_text(sample.texts[0], [sample.id], sample.where)
    return builder.finish(
        ReleaseImages(source, lines), {path.name: sha256_of(path)}, {"captions": 1000}, path, rule="row_by_row"
    )


class ReleaseImages:
    """The images of a release TSV by row, decoded when they are asked for."""

    def __init__(self, source: TsvSource, lines: list[int]) -> None:
        self.source, self.lines = source, lines

    def where(self, row: int) -> str:
        """The place of an image, for a message."""
        return self.source.where(self.lines[row])

    def __getitem__(self, row: int) -> bytes:
        return self.source[self.lines[row]].image


PROTOCOLS = Protocols("coco-cn", ("1053", "1k-official", "5k"), "test", read)
BENCHMARKS = {PROTOCOLS.name: PROTOCOLS.benchmark()}

"""Flickr30k and MSCOCO in the splits of Karpathy and Fei-Fei: one JSON file with all images and captions.

`mscoco@5k` is all test images, `mscoco@1k` the mean over five folds of 1,000 in the order of the file.
"""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

from ....data.sources import fields
from ....data.sources.rows.texts import shorten
from ....errors import ConfigError, DataError
from ....files.digests import sha256_of
from ..benchmark_folder import Folder, MissingFile, coco_key, read_json
from . import clip_files
from .pairs import Builder, Pairs
from .protocols import Protocols
from .rules import FOLDS, filled_folds

FILES = {"flickr30k": "dataset_flickr30k.json", "mscoco": "dataset_coco.json"}
COUNTS = {
    ("flickr30k", "test"): {"images": 1000, "captions": 5000},
    ("flickr30k", "val"): {"images": 1014, "captions": 5070},
    ("mscoco", "test"): {"images": 5000, "captions": 25010},
    ("mscoco", "val"): {"images": 5000},
}
SOURCE = "it is in caption_datasets.zip on the page of Karpathy's deep image-sentence embeddings"
IMAGES = {
    "flickr30k": "the images are applied for with the form on the Flickr30k page of the University of Illinois",
    "mscoco": "the images are val2014 from the download page of COCO",
}


def reader(name: str) -> Callable[..., Pairs]:
    """The function `read` of one of the two sets."""

    def read(data: str | Path, protocol: str | None = None, split: str = "test", allow_counts: bool = False) -> Pairs:
        builder, folder = Builder(PROTOCOLS[name].title(protocol, split), allow_counts), Folder(data)
        wanted, rule = COUNTS.get((name, split), {}), "folds" if (name, protocol) == ("mscoco", "1k") else "standard"
        path = folder.optional([FILES[name]])
        if path is None:
            filled = clip_files.fill(builder, folder, split)
            if filled is None:
                raise MissingFile(
                    f"{folder.path} lacks the captions, looked for as {FILES[name]}, or as "
                    f"{clip_files.names(split)}; {SOURCE}"
                )
            return in_folds(builder.finish(*filled, wanted, folder.path, rule=rule))
        add_split(builder, path, split)
        index = folder.images(coco_key) if name == "mscoco" else folder.images()
        files = {path.name: sha256_of(path)}
        return in_folds(builder.from_files(index, files, wanted, folder.path, IMAGES[name], rule=rule))

    return read


def in_folds(pairs: Pairs) -> Pairs:
    """The Pairs, if they have a text in each fold that their rule asks for; else MissingFile."""
    if pairs.rule == "folds" and filled_folds(pairs) < FOLDS:
        raise MissingFile(
            f"{pairs.name} is a mean over {FOLDS} folds, for which {len(pairs.image_ids)} images with "
            f"{len(pairs.texts)} captions are too few; complete the files, or name mscoco@5k alone"
        )
    return pairs


def add_split(builder: Builder, path: Path, split: str) -> None:
    """Put the images and sentences of a split into `builder`; DataError names an image that comes twice."""
    status = path.stat()
    for image, parent, where, texts in split_rows(path, (status.st_size, status.st_mtime_ns), split):
        builder.add_image(image, where, parent)
        for text in texts:
            builder.add_text(text, [image], where)


@lru_cache(maxsize=1)  # two protocols of MSCOCO read the same 140 MB
def split_rows(path: Path, stamp: tuple[int, int], split: str) -> list[tuple[str, str, str, list[str]]]:
    """[(image id, published folder, where, sentences)] of a split; DataError names what is not as published.

    stamp: size and time of the file, which tell one state of it from another.
    """
    content = read_json(path)
    images = content.get("images") if isinstance(content, dict) else None
    if not isinstance(images, list):
        raise DataError(f"{path}: has no list `images`; copy the file again")
    splits, rows = {}, []
    for number, row in enumerate(images):
        where = f"{path}, images[{number}]"
        name, sentences = (row.get(key) if isinstance(row, dict) else None for key in ("filename", "sentences"))
        if not isinstance(name, str) or not isinstance(sentences, list):
            raise DataError(f"{where}: {shorten(row)} has no filename with sentences; copy the file again")
        splits[str(row.get("split"))] = None
        if row.get("split") == split:
            texts = [spoken(sentence, where) for sentence in sentences]
            rows.append((name.rpartition(".")[0] or name, str(row.get("filepath") or ""), where, texts))
    if split not in splits:
        raise ConfigError(f"{path} has no split {split!r}; it has {', '.join(splits) or 'none'}")
    return rows


def spoken(sentence: object, where: str) -> str:
    """The text of a sentence."""
    text = sentence.get("raw") if isinstance(sentence, dict) else None
    if not isinstance(text, str):
        raise DataError(f"{where}: {shorten(sentence)} has no `raw` text; copy the file again")
    return fields.caption(text.strip(), where)


PROTOCOLS = {
    "flickr30k": Protocols("flickr30k", ("1k",), "test", reader("flickr30k")),
    "mscoco": Protocols("mscoco", ("5k", "1k"), "test", reader("mscoco")),
}
BENCHMARKS = {name: one.benchmark() for name, one in PROTOCOLS.items()}

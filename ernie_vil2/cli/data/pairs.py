"""The verb `pairs` of `data`: a split of a benchmark as JSON lines that training reads."""

import argparse
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...errors import ConfigError, DataError
from ...evaluation.benchmarks import counts
from ...evaluation.benchmarks.retrieval.pairs import Pairs
from ...files.atomic import atomic_file, reported
from ...files.claim import Claims
from ...messages import counted, plain
from ..arguments import add_replace
from ..stopping import stoppable

TRAINING = ("train", "restval")

EXAMPLES = """
ernie-vil2 data pairs coco-cn data/COCO-CN data/COCO-CN/train.jsonl --split train
"""


def rows(pairs: Pairs, folder: Path) -> Iterator[dict[str, Any]]:
    """Rows {id, image, texts, boxes?} of Pairs, one an image with a text; image paths are relative to `folder`."""
    texts = {}
    for text, image in pairs.pairs.tolist():
        texts.setdefault(image, []).append(pairs.texts[text])
    for image, captions in texts.items():
        path = pairs.images[image]
        if not isinstance(path, (str, Path)):
            raise DataError(
                f"{pairs.name} lies in files that hold the images themselves, which training reads as they are: "
                "data.train: {kind: chinese_clip, path: FOLDER, split: SPLIT}, or kind: lmdb"
            )
        inside = os.path.relpath(os.path.abspath(path), os.path.abspath(folder))
        if inside.startswith(os.pardir):
            raise ConfigError(
                f"image {path} is not below {folder}, where the rows are to be written, and training follows no path "
                "out of that folder; write them into the folder of the benchmark"
            )
        known = pairs.boxes and pairs.boxes[image]
        boxes = {} if known is None else {"boxes": known.tolist()}
        yield {"id": pairs.image_ids[image], "image": inside, "texts": captions, **boxes}


@stoppable()
def run(args: argparse.Namespace) -> None:
    """Write a split of a benchmark as JSON lines {id, image, texts}."""
    from ...evaluation.benchmarks.registry import read_sets

    Claims("data pairs", [args.data], args.replace).file(args.output)
    sets = read_sets(args.name, args.data, args.split, args.allow_counts)
    found = max(sets, key=lambda one: len(one.image_ids))  # of equally large ones the first, which is the customary one
    lines = [json.dumps(row, ensure_ascii=False) for row in rows(found, Path(args.output).parent)]
    with reported(args.output), atomic_file(args.output) as handle:
        handle.write("".join(f"{line}\n" for line in lines).encode("utf-8", "backslashreplace"))
    for note in found.notes:  # no figure is published for a split to train on
        print(f"note: {note.removesuffix(counts.INCOMPARABLE) if args.split in TRAINING else note}")
    print(
        plain(f"{args.output}: {counted(len(lines), 'image')} with {counted(len(found.texts), 'text')} of {found.name}")
    )


def add_verb(verbs: "argparse._SubParsersAction") -> None:
    """Add `pairs` to the verbs of an argument parser."""
    verb = verbs.add_parser(
        "pairs", help="write a split of a benchmark as JSON lines", description=run.__doc__, examples=EXAMPLES
    )
    verb.add_argument("name", metavar="NAME", help="coco-cn, flickr30k-cn, aic-icc, flickr30k, mscoco")
    verb.add_argument("data", metavar="DATA", help="folder with the published files")
    verb.add_argument("output", metavar="OUT", help="file to write, in that folder or above")
    verb.add_argument("--split", help="train, valid or test; default: the one that is measured")
    verb.add_argument("--allow-counts", action="store_true", help="also take less than the published number of rows")
    add_replace(verb)
    verb.set_defaults(run=run)

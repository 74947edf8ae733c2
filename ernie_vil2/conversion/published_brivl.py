"""The released BriVL's own numbers: embeddings of its three example images and texts, as its authors saved them.

Source: the example output of release 1.0. Which row is which example was inferred, not said.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from ..errors import DataError
from ..files.json_files import parse_json
from ..files.text import read_lines
from .parity_checks import Check, number

if TYPE_CHECKING:
    from ..inference.model import Model

EXAMPLES = ("14361859", "14014334", "14708276")
"""Numbers in the names of the images, in the order of the rows"""
SIMILARITY = ((0.61079, 0.07810, 0.10567), (-0.17636, 0.81810, -0.07831), (-0.03095, 0.00995, 0.74433))
"""Cosine of every image, by row, with every text"""
IMAGE_BEGINS = (-0.02176553, 0.01255829, 0.01542797)
TEXT_BEGINS = (-0.00160643, -0.00700979, 0.02331793)
COSINE_ABSOLUTE, VALUE_ABSOLUTE = 1e-3, 2e-4
"""Which machine computed them is not said: a card may run convolutions in TF32, with ten bits, and another JPEG decoder
gives other pixels, so not the 2e-5 of fp32 on one machine but the 1e-3 of the other published numbers. A value of a
unit vector of 2,048 is about 0.022, of which 2e-4 is 1 %. Chosen without the released weights."""
KIND = "sur_text"
"""The sentence that the release's inference reads"""
WANTED = (
    "give --examples FOLDER, with the release's three example images (their names hold "
    f"{', '.join(EXAMPLES)}) and the .jsonl of their lines (image_id, bbox, sentences)"
)


class Example(NamedTuple):
    """An image, its text, and its boxes [[x1, y1, x2, y2], ...] in pixels of the image."""

    image: Path
    text: str
    boxes: list


def check_brivl(model: "Model", folder: str | Path) -> list[Check]:
    """Checks of the released BriVL (as `ernie_vil2.Model`) against its authors' numbers, on their examples in `folder`.

    DataError where these are not there.
    """
    examples = read_examples(Path(folder))
    images = model.encode_image([example.image for example in examples], boxes=[example.boxes for example in examples])
    texts = model.encode_text([example.text for example in examples])
    images, texts = np.asarray(images, np.float64), np.asarray(texts, np.float64)
    checks = [
        number(f"image {name} . texts", wanted, got, COSINE_ABSOLUTE)
        for name, wanted, got in zip(EXAMPLES, SIMILARITY, images @ texts.T, strict=True)
    ]
    for name, wanted, row in (("image", IMAGE_BEGINS, images[0]), ("text", TEXT_BEGINS, texts[0])):
        checks.append(number(f"{name} {EXAMPLES[0]} begins", wanted, row[: len(wanted)], VALUE_ABSOLUTE))
    return checks


def read_examples(folder: Path) -> list[Example]:
    """The Examples in the order of the rows; DataError says what is missing or cannot be read."""
    if not folder.is_dir():
        raise DataError(f"{folder} is not a folder; {WANTED}")
    found = {}
    for path, place, line in lines_of(folder):
        image_id = line.get("image_id")
        name = next((name for name in EXAMPLES if type(image_id) is str and name in Path(image_id).name), None)
        if name is not None:
            found.setdefault(name, example_of(line, path, place, folder))
    missing = [name for name in EXAMPLES if name not in found]
    if missing:
        raise DataError(f"{folder} has no line of the images {', '.join(missing)}; {WANTED}")
    return [found[name] for name in EXAMPLES]


def lines_of(folder: Path) -> Iterator[tuple[Path, int, dict[str, Any]]]:
    """Yield (file, number, content) of every line of the JSON lines in a folder."""
    for path in sorted(folder.rglob("*.jsonl")):
        for place, line in enumerate(read_lines(path), 1):
            try:
                content = parse_json(line) if line.strip() else {}
            except ValueError:
                content = None
            if type(content) is not dict:
                raise DataError(f"{path}:{place} is no JSON object; copy the file again")
            yield path, place, content


def example_of(line: dict[str, Any], path: Path, place: int, folder: Path) -> Example:
    """The Example of a line, whose image lies where it says, seen from its file or the folder, or anywhere in it."""
    boxes, sentences = line.get("bbox"), line.get("sentences")
    pairs = sentences if type(sentences) is list else []
    pairs = [pair for pair in pairs if type(pair) is list and len(pair) == 2 and all(type(x) is str for x in pair)]
    texts = [text for kind, text in sorted(pairs, key=lambda pair: pair[0] != KIND)]
    if not texts or type(boxes) is not list:
        raise DataError(f"{path}:{place} lacks bbox or sentences as [[kind, text], ...]; copy the file again")
    image_id = line["image_id"]
    places = [path.parent / image_id, folder / image_id, *sorted(folder.rglob(Path(image_id).name))]
    image = next((image for image in places if image.is_file()), None)
    if image is None:
        raise DataError(f"{path}:{place} names {image_id}, which is not in {folder}; put the image there")
    return Example(image, texts[0], boxes)

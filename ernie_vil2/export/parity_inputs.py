"""What exported files are tried on: pictures in files and captions, and the arrays that a model makes of them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.images.inputs import AnyImage
from ..data.sources.base import Boxes, RowError, Source, require_sides
from ..data.sources.scenes.source import SceneSource
from ..errors import DataError, ImageError
from ..inference.engines.calibration import Recording
from ..inference.items import text_fault
from ..inference.model import Model

BATCHES = (1, 3, 8)
SIDES_IN_PIXELS = ((640, 480), (333, 500), (224, 224), (96, 61), (1024, 683), (150, 400), (517, 517), (800, 599))
"""(width, height) of the drawn pictures: larger and smaller than what towers see, lying, upright and square"""
SEED = 20221
MOST_TRIED = 64
"""Rows of a source that are looked at before it is said to have too few that can be used"""


@dataclass(frozen=True)
class Items:
    """Pictures in files, with the boxes that they come with (None: nobody looked for any), and as many captions."""

    pictures: tuple[Path, ...]
    boxes: tuple[Boxes | None, ...]
    texts: tuple[str, ...]


@dataclass(frozen=True)
class Batch:
    """The arrays of a batch of a tower; length: tokens of its longest text, None of images."""

    tower: str
    length: int | None
    arrays: tuple[np.ndarray, ...]

    def __len__(self) -> int:
        return len(self.arrays[0])


def drawn_items(folder: Path) -> Items:
    """Drawn scenes as JPEG files in a folder, of many sizes, with a caption each, Chinese and English in turn."""
    from PIL import Image

    pictures, boxes, texts = [], [], []
    for number, (width, height) in enumerate(SIDES_IN_PIXELS):
        source = SceneSource(size=len(SIDES_IN_PIXELS), seed=SEED, image_size=max(width, height), captions=1)
        sample = source[number]
        pictures.append(folder / f"{number}.jpg")
        Image.fromarray(sample.image[:height, :width]).save(pictures[-1], quality=90)
        boxes.append(sample.boxes)
        texts.append(sample.texts[number % len(sample.texts)])
    return Items(tuple(pictures), tuple(boxes), tuple(texts))


def items_of(source: Source, model: Model, folder: Path) -> Items:
    """The first rows of a source that the model can use; those whose pictures lie in no file of their own are written
    into a folder. DataError where the largest batch is not reached."""
    require_sides(source, "the parity of an export")
    pictures, boxes, texts = [], [], []
    for number in range(min(len(source), MOST_TRIED)):
        try:
            sample = source[number]
            model.preprocess(sample.image)
        except (RowError, ImageError):
            continue
        text = sample.texts[number % len(sample.texts)]
        if text_fault(text) is not None:
            continue
        pictures.append(in_file(sample.image, folder / f"{number}"))
        boxes.append(sample.boxes)
        texts.append(text)
        if len(texts) == max(BATCHES):
            return Items(tuple(pictures), tuple(boxes), tuple(texts))
    raise DataError(
        f"{source.name} has {len(texts)} usable rows among its first {MOST_TRIED}, and the parity of an export needs "
        f"{max(BATCHES)}; give another --source"
    )


def in_file(image: AnyImage, path: Path) -> Path:
    """The path of a picture, which is written to `path` where it has none."""
    from PIL import Image

    if isinstance(image, (str, Path)):
        return Path(image)
    if isinstance(image, np.ndarray):
        Image.fromarray(image).save(path, "PNG")
    else:
        path.write_bytes(image)
    return path


def image_batches(model: Model, items: Items) -> Iterator[Batch]:
    """Batches of the pictures as the image tower takes them, of each of BATCHES."""
    recording = Recording(model.embed_dim, model.most_boxes > 0)
    recorder = Model(model.network, model.tokenizer, model.limits, recording)
    boxes = list(items.boxes) if model.most_boxes else None
    recorder.encode_image(list(items.pictures), boxes=boxes, batch_size=max(BATCHES))
    (arrays,) = recording.batches
    for size in BATCHES:
        yield Batch("image", None, tuple(array[:size] for array in arrays))


def text_batches(model: Model, items: Items) -> Iterator[Batch]:
    """Batches of captions of each of BATCHES, the first text of which has the length of the batch and the others less,
    for several lengths up to the model's own."""
    most = model.config.max_length
    short = min(max(3, most // 4), int(model.tokenizer.lengths(items.texts).min()))
    lengths = (most,) if model.config.fixed_length else sorted({short, (short + most + 1) // 2, most})
    for length in lengths:
        for size in BATCHES:
            yield Batch("text", length, (padded(model, items.texts, length, size),))


def padded(model: Model, texts: Sequence[str], length: int, size: int) -> np.ndarray:
    """int64 [size, length]: texts that are joined until they are long enough, cut to falling lengths, and padded."""
    found = np.full((size, length), model.tokenizer.pad_id, np.int64)
    for number, row in enumerate(found):
        room = max(3, length - number * length // size)
        text = " ".join(texts[number:])
        often = -(-room // max(1, int(model.tokenizer.lengths(text)[0]) - 2))
        ids = model.tokenizer.encode(" ".join(often * [text]), room)[0]
        row[: len(ids)] = ids
    return found

"""From pairs that are read to figures: every image and text is encoded once, whatever the number of protocols."""

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ....errors import ImageError, advice
from ...embeddings import Embeddings
from ...encoding import IMAGE_WINDOW, Progress, encode_window, takes_boxes
from ...left_out import LeftOut
from ...metrics.finite import finite
from ...runs.records import Outcome, Result
from .pairs import Pairs
from .rules import RULES

if TYPE_CHECKING:
    from ....inference.model import Model

TEXT_WINDOW = 4096


def outcome(
    model: "Model",
    sets: list[Pairs],
    progress: Progress | None = None,
    encode_images: Callable[..., tuple[dict[str, int], np.ndarray, dict[str, str]]] | None = None,
) -> Outcome:
    """The Outcome of a list of Pairs, a Result each in this order; embeddings and pairs are those of the first.

    progress: called with (images and texts encoded, all of them). encode_images: where images are no pictures, function
    (model, sets, meter) that gives what `encode_distinct_images` does. Raises ImageError naming an image that cannot be
    decoded and its place, CheckpointError for embeddings that are not finite.
    """
    meter = Meter(progress, sets)
    image_rows, images, digests = (encode_images or encode_distinct_images)(model, sets, meter)
    text_rows, texts = encode_distinct_texts(model, sets, meter)
    results, first = [], None
    for part in sets:
        image = images[[image_rows[key] for key in part.image_ids]]
        text = texts[[text_rows[line] for line in part.texts]]
        task, metrics, numbers, notes = RULES[part.rule](image, text, part)
        notes = (*part.notes, *notes, *boxed(model, part), *repeated(part.texts))
        results.append(Result(part.name, task, metrics, numbers, notes=notes))
        first = first or (image, text, part)
    image, text, part = first
    owner = np.full(len(text), -1, np.int64)
    owner[part.pairs[::-1, 0]] = part.pairs[::-1, 1]
    embeddings = Embeddings(image, text, owner, image_ids=part.image_ids)
    return Outcome(results, checksum(sets, digests), embeddings, part.pairs, part.texts, part.images.__getitem__)


def boxed(model: "Model", part: Pairs) -> tuple[str, ...]:
    """A note on boxes that the model was given, where it was given some."""
    if part.boxes is None or not takes_boxes(model):
        return ()
    some = sum(boxes is not None and len(boxes) > 0 for boxes in part.boxes)
    return (f"{some:,} of {len(part.boxes):,} images were encoded with their boxes",)


def repeated(texts: Sequence[str]) -> tuple[str, ...]:
    """A note on texts that nobody can tell apart, where there are some: the rule of a benchmark's authors is kept."""
    count = len(texts) - len(set(texts))
    if not count:
        return ()
    return (
        f"{count:,} of {len(texts):,} texts repeat an earlier one; as its authors measure it, each is right for its "
        "own images alone",
    )


class Meter:
    """Tells how much is encoded."""

    def __init__(self, progress: Progress | None, sets: list[Pairs]) -> None:
        self.progress, self.done = progress, 0
        self.total = len({key for part in sets for key in part.image_ids}) + len(
            {line for part in sets for line in part.texts}
        )

    def add(self, count: int) -> None:
        """Tell of `count` more."""
        self.done += count
        if self.progress:
            self.progress(self.done, self.total)


def encode_distinct_images(
    model: "Model", sets: list[Pairs], meter: Meter
) -> tuple[dict[str, int], np.ndarray, dict[str, str]]:
    """({id: row}, embeddings [N, D], {id: SHA-256 of the file}) of all images, a window of them in memory at a time."""
    first = {}
    for part in sets:
        for row, key in enumerate(part.image_ids):
            first.setdefault(key, (part, row))
    embeds, digests, keys = [], {}, list(first)
    for start in range(0, len(keys), IMAGE_WINDOW):
        window = keys[start : start + IMAGE_WINDOW]
        contents = [content(*first[key]) for key in window]

        def broken(position: int, reason: str, window: list[str] = window) -> ImageError:
            part, row = first[window[position]]
            return ImageError(f"image {window[position]!r}, {part.place(row)}: {reason}")

        boxes = [None if part.boxes is None else part.boxes[row] for part, row in map(first.get, window)]
        rows = encode_window(model, contents, broken, LeftOut(), boxes)[1]
        embeds.append(finite(rows, lambda position, window=window: f"image {window[position]!r}"))
        digests.update((key, hashlib.sha256(data).hexdigest()) for key, data in zip(window, contents, strict=True))
        meter.add(len(window))
    return {key: row for row, key in enumerate(keys)}, np.concatenate(embeds), digests


def content(part: Pairs, row: int) -> bytes | np.ndarray:
    """The encoded bytes of an image, or the pixels of one that is no file."""
    image = part.images[row]
    if isinstance(image, (bytes, np.ndarray)):
        return image
    try:
        return image.read_bytes()
    except OSError as error:
        raise ImageError(
            f"{image}: cannot be read ({error.strerror or error}); {advice(error, 'copy the image again')}"
        ) from None


def encode_distinct_texts(model: "Model", sets: list[Pairs], meter: Meter) -> tuple[dict[str, int], np.ndarray]:
    """({text: row}, embeddings [M, D]) of all different texts."""
    texts = list(dict.fromkeys(line for part in sets for line in part.texts))
    embeds = []
    for start in range(0, len(texts), TEXT_WINDOW):
        window = texts[start : start + TEXT_WINDOW]
        rows = model.encode_text(window)
        embeds.append(finite(rows, lambda position, window=window: f"the text {window[position]!r}"))
        meter.add(len(window))
    return {line: row for row, line in enumerate(texts)}, np.concatenate(embeds)


def checksum(sets: list[Pairs], digests: dict[str, str]) -> str:
    """SHA-256 over names and contents of all files of texts and of all images, wherever they lie."""
    total = hashlib.sha256()
    for name, digest in sorted({item for part in sets for item in part.files.items()} | set(digests.items())):
        total.update(f"{name}\t{digest}\n".encode())
    return total.hexdigest()

"""Images and samples to embeddings, a window of them in memory at a time; broken ones are named or left out."""

from array import array
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.sources.base import Sample, Source
from ..data.sources.pictures import content_digest
from ..data.sources.usable import read_row, row_error
from ..errors import DataError, UserError
from ..inference.rows import encode_rows
from ..keys import stable_hash
from .embeddings import APART, Embeddings, lonely_images, shared_texts
from .left_out import LeftOut
from .metrics.finite import finite

if TYPE_CHECKING:
    from ..inference.model import Model

IMAGE_WINDOW = 256
"""Images given to the model at a time."""
Progress = Callable[[int, int], object]
"""Called with (items done, all items)"""


def takes_boxes(model: "Model") -> bool:
    """Whether a model looks at boxes of images."""
    return getattr(model, "most_boxes", 0) > 0


def encode_window(
    model: "Model",
    images: Sequence[Any],
    error: Callable[[int, str], UserError],
    left_out: LeftOut,
    boxes: Sequence[np.ndarray | None] = (),
) -> tuple[np.ndarray, np.ndarray]:
    """(positions int64 [n], embeddings float32 [n, D]) of those of the images that can be used.

    model: has `encode_image`, as `ernie_vil2.Model`. images: anything that it takes. error: function (position, reason)
    -> the error that names a broken image; it is raised, or kept in `left_out` where that allows it. boxes: float32
    [n, 4] of each image, None where none are known, for a model that takes boxes; others never see them.
    """
    known = {"boxes": list(boxes)} if takes_boxes(model) and any(found is not None for found in boxes) else {}
    embeds, failures = model.encode_image(images, on_error="skip", **known)
    good = np.ones(len(embeds), bool)
    for position, reason in failures:
        broken = error(position, reason)
        broken.cause = getattr(reason, "cause", "broken image")
        left_out.add(broken)
        good[position] = False
    return np.flatnonzero(good), np.asarray(embeds)[good]


def encode_images(
    model: "Model",
    images: Sequence[Any],
    where: Callable[[int], object],
    left_out: LeftOut,
    window: int | None = None,
    progress: Progress | None = None,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (positions int64 [n], embeddings float32 [n, D]) of images, each encoded once, a window at a time.

    where: function position -> the place that names the image, `file:line` or the file itself. A broken image is a
    DataError with that place, raised or kept in `left_out`. Raises CheckpointError for embeddings that are not finite.
    """
    window = window or IMAGE_WINDOW
    for start in range(0, len(images), window):

        def broken(position: int, reason: str, start: int = start) -> DataError:
            place = str(where(start + position))  # the model names a file itself
            return DataError(reason if reason.startswith(place) else f"{place}: {reason}")

        positions, embeds = encode_window(model, images[start : start + window], broken, left_out)
        positions = start + positions
        embeds = finite(embeds, lambda row, positions=positions: where(positions[row]))
        if progress:
            progress(min(start + window, len(images)), len(images))
        yield positions, embeds


def encode_source(
    model: "Model",
    source: Source,
    skip_broken: bool = False,
    window: int = IMAGE_WINDOW,
    progress: Progress | None = None,
    rows: range | None = None,
    apart: bool = False,
) -> Embeddings:
    """Embeddings of every image (once per id, in order of first appearance) and text of a source.

    model: has encode_image and encode_text, as `ernie_vil2.Model`; source: a sequence of samples, read `window` at a
    time. skip_broken: leave out bad rows with their texts, by the rule of `encode_rows`, and tell of them in the notes,
    instead of raising DataError that says where the first one stands. progress: called with (samples done, all
    samples). rows: the range of rows to encode, by default all. apart: keep every picture of an id, for `join_parts`,
    which knows the rows of others.
    """
    selected = range(len(source)) if rows is None else rows
    row_of, known, images, texts, left_out = {}, {}, [], [], LeftOut(skip_broken)
    image_rows, owner, keys, text_rows = [], array("q"), array("q"), array("q")
    for start in range(0, len(selected), window):
        samples, bad = readable(source, selected[start : start + window], apart)
        found = encode_rows(model, source, samples, known)
        bad.update(found.bad)
        for row in sorted(bad):
            left_out.add(row_error(source.where(row), bad[row]))
        for row in found.fresh:
            row_of[samples[row].id] = len(images)
            images.append(found.images[row])
            image_rows.append(row)
        good = {row: sample for row, sample in samples.items() if row not in bad}
        texts.extend(found.texts[row] for row in good)
        for row, sample in good.items():
            for number, text in enumerate(sample.texts):
                owner.append(row_of[sample.id])
                keys.append(stable_hash(text))
                text_rows.extend((row, number))
        if progress:
            progress(min(start + window, len(selected)), len(selected))
    if not owner and not apart:
        reason = f": {left_out.reasons[0]}" if left_out.reasons else ""
        raise DataError(f"the source holds no usable pair of image and text{reason}")
    keys, owner = np.array(keys, np.int64), np.array(owner, np.int64)
    return Embeddings(
        np.stack(images) if images else np.zeros((0, model.embed_dim), np.float32),
        np.concatenate(texts) if texts else np.zeros((0, model.embed_dim), np.float32),
        owner,
        notes=(*left_out.notes("samples"), *lonely_images(len(images), owner), *shared_texts(keys)),
        image_ids=tuple(row_of),
        text_keys=keys,
        image_rows=np.array(image_rows, np.int64),
        text_rows=np.array(text_rows, np.int64).reshape(-1, 2),
        pictures=np.array([stable_hash(known[key].digest) for key in row_of], np.int64),
        left_out=len(left_out.reasons),
    )


def readable(source: Source, rows: range, apart: bool) -> tuple[dict[int, Sample], dict[int, UserError]]:
    """({row: Sample}, {row: error}) of these rows; `apart`: with ids that hold a digest of the picture."""
    samples, bad = {}, {}
    for row in rows:
        try:
            sample = read_row(source, row)
            samples[row] = replace(sample, id=f"{sample.id}{APART}{content_digest(sample)}") if apart else sample
        except DataError as error:
            bad[row] = error
    return samples, bad

"""Images and samples to embeddings, a window of them in memory at a time; broken ones are named or left out."""

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.sources.base import Sample, Source
from ..errors import DataError, UserError
from .embeddings import Embeddings
from .left_out import LeftOut
from .metrics.finite import finite

if TYPE_CHECKING:
    from ..inference.model import Model

IMAGE_WINDOW = 256
"""Images given to the model at a time."""
Progress = Callable[[int, int], object]
"""Called with (items done, all items)"""


def encode_window(
    model: "Model", images: Sequence[Any], error: Callable[[int, str], UserError], left_out: LeftOut
) -> tuple[np.ndarray, np.ndarray]:
    """(positions int64 [n], embeddings float32 [n, D]) of those of the images that can be used.

    model: has `encode_image`, as `ernie_vil2.Model`. images: anything that it takes. error: function (position, reason)
    -> the error that names a broken image; it is raised, or kept in `left_out` where that allows it.
    """
    embeds, failures = model.encode_image(images, on_error="skip")
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
) -> Embeddings:
    """Embeddings of every image (once per id, in order of first appearance) and text of a source.

    model: has encode_image and encode_text, as `ernie_vil2.Model`; source: a sequence of samples, read `window` at a
    time. skip_broken: leave out broken samples with their texts and tell of them in the notes, instead of raising
    DataError that says where the sample stands. progress: called with (samples done, all samples). rows: the range
    of rows to encode, by default all.
    """
    selected = range(len(source)) if rows is None else rows
    row_of, owner, images, texts, left_out = {}, [], [], [], LeftOut(skip_broken)
    for start in range(0, len(selected), window):
        samples = usable(source, selected[start : start + window], left_out)
        fresh = {}
        for sample in samples:
            if sample.id not in row_of:
                fresh.setdefault(sample.id, sample)
        for sample, embed in encoded(model, list(fresh.values()), left_out):
            row_of[sample.id] = len(images)
            images.append(embed)
        wanted = [(text, row_of[sample.id]) for sample in samples if sample.id in row_of for text in sample.texts]
        if wanted:
            texts.append(model.encode_text([text for text, _ in wanted]))
            owner.extend(row for _, row in wanted)
        if progress:
            progress(min(start + window, len(selected)), len(selected))
    if not owner:
        reason = f": {left_out.reasons[0]}" if left_out.reasons else ""
        raise DataError(f"the source holds no usable pair of image and text{reason}")
    return Embeddings(
        np.stack(images),
        np.concatenate(texts),
        np.array(owner, dtype=np.int64),
        notes=left_out.notes("samples"),
        image_ids=tuple(row_of),
    )


def usable(source: Source, rows: range, left_out: LeftOut) -> list[Sample]:
    """The samples of these rows that can be read."""
    samples = []
    for row in rows:
        try:
            samples.append(source[row])
        except DataError as error:
            left_out.add(error)
    return samples


def encoded(model: "Model", samples: list[Sample], left_out: LeftOut) -> list[tuple[Sample, np.ndarray]]:
    """Samples whose image can be used, with its embedding [D]; an error has the place of its sample."""
    if not samples:
        return []

    def broken(position: int, reason: str) -> DataError:
        return DataError(f"{samples[position].where}: {reason}")

    positions, embeds = encode_window(model, [sample.image for sample in samples], broken, left_out)
    return [(samples[position], embed) for position, embed in zip(positions, embeds, strict=True)]

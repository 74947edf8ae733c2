"""A run of a source of one's own: its figures as rows, with what a report of it is drawn from."""

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...data.sources.base import Source
from ..embeddings import Embeddings
from .records import Outcome, Result

COUNTED = {"num_images": "images", "num_texts": "texts"}


def own_outcome(
    name: str,
    source: Source,
    embeddings: Embeddings,
    results: Mapping[str, Mapping[str, float]],
) -> Outcome:
    """The Outcome of a source that was encoded.

    name: of the source, for people. embeddings: of `encode_source`. results: {protocol: metrics} of
    `retrieval.evaluate`; the rows of `standard` come first, to which the pairs belong: a text is right for its own
    image, and for those of equal texts.
    """
    texts = tuple(source[int(row)].texts[number] for row, number in embeddings.text_rows)
    rows = [
        Result(
            f"{name}@{protocol}",
            "retrieval",
            {key: value for key, value in metrics.items() if key not in COUNTED},
            {what: int(metrics[key]) for key, what in COUNTED.items()},
            notes=embeddings.notes,
            own=True,
        )
        for protocol, metrics in sorted(results.items(), reverse=True)
    ]
    return Outcome(
        rows,
        checksum(embeddings, texts),
        embeddings,
        right_pairs(embeddings),
        texts,
        lambda row: source[int(embeddings.image_rows[row])].image,
    )


def right_pairs(embeddings: Embeddings) -> np.ndarray:
    """int64 [P, 2], (text row, image row) of all that is right: the images of a text, and those of equal texts."""
    keys = embeddings.text_keys
    if keys is None:
        keys = np.arange(len(embeddings.text))
    images: dict[int, set[int]] = {}
    for key, image in zip(keys.tolist(), embeddings.text_image.tolist(), strict=True):
        images.setdefault(key, set()).add(image)
    return np.array([(row, image) for row, key in enumerate(keys.tolist()) for image in sorted(images[key])], np.int64)


def checksum(embeddings: Embeddings, texts: tuple[str, ...]) -> str:
    """SHA-256 of the pictures and texts that were measured, in their order, wherever they lie."""
    told: Any = hashlib.sha256(np.ascontiguousarray(embeddings.pictures).tobytes())
    for text, image in zip(texts, embeddings.text_image.tolist(), strict=True):
        told.update(f"{image}\t{text}\n".encode("utf-8", "surrogatepass"))
    return told.hexdigest()

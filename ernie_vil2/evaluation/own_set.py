"""A model on a source of one's own: embeddings, and the Outcome that a run folder is written from."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..data.sources.base import Source
from .embeddings import Embeddings
from .metrics.ranks import PROTOCOLS, positive_pairs
from .metrics.right_pairs import RightPairs, share_texts
from .runs.records import Outcome, Result

OWN = "own:"
"""In front of the name of a set, where a benchmark has the name of its family"""
SIZES = ("num_images", "num_texts", "num_image_queries", "num_text_queries")
MOST_PAIRS = 1 << 25
"""Right pairs that are held for an analysis: 512 MiB"""


def own_outcome(embeddings: Embeddings, source: Source, results: Mapping[str, Mapping[str, float]]) -> Outcome:
    """The Outcome of the embeddings of a whole source, a Result for each protocol, `standard` first.

    embeddings: of `encode_source(model, source)`. results: of `retrieval.evaluate`. As in `standard`, a text is right
    for every image of an equal text; where this makes more than MOST_PAIRS pairs, no analysis is written and a note
    says so. Raises DataError for a row that can no longer be read.
    """
    texts = tuple(texts_of(embeddings, source))
    own = RightPairs(positive_pairs(embeddings.text_image, len(embeddings.image), len(texts)))
    shared = share_texts(own, embeddings.text_keys, len(texts))
    analysed = shared.count() <= MOST_PAIRS
    left = "so many texts are equal that curves, thresholds and errors are left out; give pictures texts of their own"
    notes = embeddings.notes if analysed else (*embeddings.notes, left)
    counts = {"images": len(embeddings.image), "texts": len(texts)}
    rows = [
        Result(
            own_name(source.name, protocol),
            "retrieval",
            {key: value for key, value in results[protocol].items() if key not in SIZES},
            counts,
            notes=notes,
        )
        for protocol in sorted(PROTOCOLS, key="standard".__ne__)
    ]
    whence = checksum(embeddings, texts)
    if not analysed:
        return Outcome(rows, whence)
    images = embeddings.image_rows

    def image(row: int) -> Any:
        return source[int(images[row])].image

    pairs = np.stack(shared.of(0, len(texts)), axis=1)
    return Outcome(rows, whence, replace(embeddings, notes=()), pairs, texts, image)


def own_name(source: str, protocol: str) -> str:
    """The name of a source's rows under a protocol: `own:valid.jsonl@standard`; of a path its last part."""
    return f"{OWN}{Path(source).name or source}@{protocol}"


def own_title(benchmark: str | None) -> str | None:
    """The name of the set of an `own_name`; None for that of a public benchmark."""
    if benchmark is None or not benchmark.startswith(OWN):
        return None
    return benchmark.removeprefix(OWN).rpartition("@")[0]


def texts_of(embeddings: Embeddings, source: Source) -> Iterator[str]:
    """The texts of the rows of embeddings, each row of the source being read once."""
    last = None
    for row, number in embeddings.text_rows.tolist():
        if last is None or last[0] != row:
            last = row, source[row].texts
        yield last[1][number]


def checksum(embeddings: Embeddings, texts: tuple[str, ...]) -> str:
    """SHA-256 over texts and contents of pictures, wherever they lie and whatever file names them; so without ids, some
    of which have the path of that file in them."""
    digest = hashlib.sha256()
    digest.update(embeddings.pictures.astype("<i8").tobytes())
    digest.update(embeddings.text_image.astype("<i8").tobytes())
    for text in texts:
        digest.update(text.encode("utf-8", "surrogatepass") + b"\0")
    return digest.hexdigest()

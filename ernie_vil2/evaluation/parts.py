"""One source encoded in parts, by several processes: what they found, as if one had read all rows."""

from collections.abc import Callable

import numpy as np

from ..data.sources.base import Source
from ..data.sources.pictures import clash
from ..errors import DataError
from ..keys import stable_hash
from .embeddings import APART, Embeddings, shared_texts

AllRows = Callable[[np.ndarray], np.ndarray]
"""(rows of this part [n, ...]) -> rows of all parts, in order"""


def join_parts(part: Embeddings, source: Source, all_rows: AllRows) -> Embeddings:
    """The Embeddings of all parts of a source, each from `encode_source` with `apart`.

    The picture of an id is that of its first usable row, whichever part that is in. What other pictures of it there
    are is left out with its texts, as one process does.
    """
    keys = np.array([stable_hash(key.partition(APART)[0]) for key in part.image_ids], np.int64)
    keys, pictures, rows = (all_rows(column) for column in (keys, part.pictures, part.image_rows))
    starts = np.cumsum(all_rows(np.array([len(part.image)])))[:-1]
    counts = all_rows(np.array([len(part.text)]))
    owners = all_rows(part.text_image) + np.repeat(np.r_[0, starts], counts)
    text_rows, left_out = all_rows(part.text_rows), int(all_rows(np.array([part.left_out])).sum())
    images, texts, text_keys = (all_rows(column) for column in (part.image, part.text, part.text_keys))
    if not len(texts):
        raise DataError(f"{source.name}: holds no usable pair of image and text; correct or replace it")
    # Parts are in order of rows, and so are the images of a part: the first of a key is the one of the lowest row.
    _, first, group = np.unique(keys, return_index=True, return_inverse=True)
    first = first[group.reshape(-1)]
    kept = np.flatnonzero(first == np.arange(len(keys)))
    place = np.searchsorted(kept, first)
    right = pictures == pictures[first]
    good = right[owners]
    bad_rows = np.unique(text_rows[~good, 0])
    notes = part.notes[: bool(part.left_out)]
    others = left_out - part.left_out
    if len(bad_rows):
        wrong = owners[~good][0]
        row = int(text_rows[~good][0, 0])
        error = clash(source.where(row), source.key(row), source.where(int(rows[first[wrong]])))
        notes += (f"samples left out: {len(bad_rows)}, the first: {error}",)
    if others:
        notes += (f"samples left out by other processes: {others}",)
    return Embeddings(
        images[kept],
        texts[good],
        place[owners[good]],
        notes=(*notes, *shared_texts(text_keys[good])),
        text_keys=text_keys[good],
        image_rows=rows[kept],
        text_rows=text_rows[good],
        pictures=pictures[kept],
        left_out=left_out + len(bad_rows),
    )

"""Validation shared out over ranks: each encodes a part of the source, the metrics are computed on all of it."""

import numpy as np

from ..errors import DataError
from ..evaluation.retrieval import Embeddings, encode_source, evaluate
from ..keys import stable_hash


def share_of(rows, rank, size):
    """The range of rows that a rank encodes."""
    return range(rows * rank // size, rows * (rank + 1) // size)


def validate(encoder, source, ranks):
    """(metrics of the standard protocol, on rank 0, and Embeddings); broken samples are left out and noted.

    Other ranks return before rank 0: wait for it before the next collective.
    """
    try:
        part = encode_source(encoder, source, True, rows=share_of(len(source), ranks.rank, ranks.size))
    except DataError:
        if ranks.size == 1:
            raise
        width = encoder.embed_dim
        part = Embeddings(
            np.zeros((0, width), np.float32), np.zeros((0, width), np.float32), np.zeros(0, np.int64), image_ids=()
        )
    ranks.wait()
    every = part if ranks.size == 1 else joined(part, ranks)
    return evaluate(every, "standard")["standard"] if ranks.main else {}, every


def joined(part, ranks):
    """The Embeddings of all ranks' parts; an image whose captions lie in two parts is one image."""
    own = np.array([stable_hash(key) for key in part.image_ids], np.int64)
    images, texts = ranks.all_rows(part.image), ranks.all_rows(part.text)
    keys, owners = ranks.all_rows(own), ranks.all_rows(own[part.text_image])
    _, first = np.unique(keys, return_index=True)
    first.sort()
    row = {key: place for place, key in enumerate(keys[first].tolist())}
    if not len(texts):
        raise DataError("the validation source holds no usable pair of image and text; see data.valid")
    return Embeddings(images[first], texts, np.array([row[key] for key in owners.tolist()], np.int64), notes=part.notes)

"""Rows that are compared one by one, in memory, in half precision as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from ..store.part import BLOCK, Part

if TYPE_CHECKING:
    import faiss


def flat_index(part: Part, bound: int = 0) -> faiss.Index:
    """The FAISS index of all living rows with ids from `bound` on; it loses nothing of them."""
    import faiss

    codes = faiss.IndexScalarQuantizer(part.width, faiss.ScalarQuantizer.QT_fp16, faiss.METRIC_INNER_PRODUCT)
    codes.is_trained = True
    index = faiss.IndexIDMap2(codes)
    for ids, vectors in blocks_from(part, bound):
        index.add_with_ids(vectors.astype(np.float32), ids)
    return index


def blocks_from(part: Part, bound: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """(ids, vectors float16) of living rows with ids from `bound` on, block by block, without reading those before."""
    living = part.live_ids()
    first = int(np.searchsorted(living, bound))
    for start in range(first, len(living), BLOCK):
        ids = living[start : start + BLOCK]
        yield ids, part.halves(ids)

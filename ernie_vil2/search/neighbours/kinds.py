"""Kinds of FAISS indexes, and how one is made and trained. What they find is scored anew, so they may be rough.

`flat` keeps half precision in memory, and has no file. `sq8` compares all rows in 8 bits a value. `hnsw` walks a graph
over these. `ivf` compares the rows of the nearest lists in 8 bits. `pq` does so in 4 bits for two values of a
projection onto the directions in which the vectors differ, a register of rows at once (FAISS calls that fast scan).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from .lists import centroids
from .projection import directions, fitting_dims, projection

if TYPE_CHECKING:
    import faiss

KINDS = ("flat", "sq8", "hnsw", "ivf", "pq")
LINKS = 32
"""Neighbours of a row in the graph; the lowest of its layers has twice as many"""
BUILT_WITH = 80
"""Rows that the graph keeps in sight while a row is added"""
PIECE = 2
"""Values of the projection that a code of 4 bits stands for"""
ID_BYTES = 8
MOST_LISTS = 4096
CODE_TRAINED = 16_384
"""Rows that the codes of `pq` are learnt from"""
LEAST_TRAINED = 256
"""Rows that a code is trained on at least; fewer are repeated"""


def list_count(rows: int) -> int:
    """Lists for a number of rows: four times the root, and at least some 30 rows a list."""
    return max(1, min(MOST_LISTS, round(4 * math.sqrt(rows)), rows // 30))


def row_bytes(kind: str, width: int) -> int:
    """Bytes of memory for a row, those of `pq` at most."""
    sizes = {"flat": 2 * width, "sq8": width, "hnsw": width + 2 * LINKS * 4, "ivf": width, "pq": width // 4}
    return sizes[kind] + ID_BYTES


def new_index(kind: str, sample: np.ndarray, lists: int) -> faiss.Index:
    """A trained FAISS index without rows, which keeps ids.

    kind: any but `flat`. sample: unit vectors [n, D], float32. lists: of `ivf` and `pq`.
    """
    import faiss

    few, sample = sample, np.resize(sample, (max(LEAST_TRAINED, len(sample)), sample.shape[1]))
    width, product, eight = sample.shape[1], faiss.METRIC_INNER_PRODUCT, faiss.ScalarQuantizer.QT_8bit
    if kind == "sq8":
        index = faiss.IndexScalarQuantizer(width, eight, product)
        index.train(sample)
        return faiss.IndexIDMap2(index)
    if kind == "hnsw":
        index = faiss.IndexHNSWSQ(width, eight, LINKS, product)
        index.hnsw.efConstruction = BUILT_WITH
        index.train(sample)
        return faiss.IndexIDMap2(index)
    if kind == "ivf":
        quantizer = quantizer_of(centroids(sample, lists))
        index = faiss.IndexIVFScalarQuantizer(quantizer, width, lists, eight, product, False)
        index.train(sample)
        return index
    lines = directions(few)
    dims = fitting_dims(few, lines)
    matrix = projection(lines, dims)
    reduced = sample @ matrix.T
    pieces = dims if dims % PIECE else dims // PIECE
    index = faiss.IndexIVFPQFastScan(quantizer_of(centroids(reduced, lists)), dims, lists, pieces, 4, product)
    index.by_residual = False
    index.pq.cp.min_points_per_centroid = 1
    index.train(reduced[:CODE_TRAINED])
    turn = faiss.LinearTransform(width, dims, False)
    faiss.copy_array_to_vector(matrix.ravel(), turn.A)
    turn.is_trained = True
    return faiss.IndexPreTransform(turn, index)


def quantizer_of(points: np.ndarray) -> faiss.IndexFlat:
    """The index of the middles of lists: a query looks into those it is nearest to, as a row is put into the nearest.

    By cosines it would prefer lists whose rows are alike, whose middles are longer.
    """
    import faiss

    index = faiss.IndexFlatL2(points.shape[1])
    index.add(points)
    return index


def lists_of(index: faiss.Index) -> faiss.IndexIVF | None:
    """What of an index has lists, behind a projection or not; None of a kind without."""
    import faiss

    inner = faiss.downcast_index(index.index) if isinstance(index, faiss.IndexPreTransform) else index
    return inner if isinstance(inner, faiss.IndexIVF) else None

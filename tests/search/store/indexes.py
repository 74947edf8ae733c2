"""Small indexes that tests of the store make, and what is in one, for comparison."""

import numpy as np

from ernie_vil2.search.store.columns import ImageRow, TextRow
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.snapshot import open_snapshot

WIDTH = 16


def manifest(**fields):
    return Manifest(**{"width": WIDTH, "model": {"digest": "d1", "path": "M"}, **fields})


def unit(numbers, width=WIDTH, seed=0):
    """Unit vectors [n, width] that are those of numbers, whatever is drawn beside them."""
    drawn = [np.random.default_rng((seed, number)).normal(size=width) for number in numbers]
    values = np.array(drawn, np.float32).reshape(-1, width)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


def pictures(numbers, texts=lambda number: (), **fields):
    return [
        ImageRow(0, f"图/{number}.jpg", f"图/{number}.jpg".encode(), "图", number + 1, 7, texts=texts(number), **fields)
        for number in numbers
    ]


def sentences(numbers):
    return [TextRow("caption", f"第{number}张图") for number in numbers]


def content(folder):
    """All that an index shows: rows of both sides by id, and their vectors."""
    snapshot = open_snapshot(folder)
    shown = {}
    for side in ("image", "text"):
        part = snapshot.part(side)
        ids = part.live_ids()
        rows = part.take(ids).to_pylist()
        vectors = part.vectors(ids)
        assert [row["id"] for row in rows] == ids.tolist()
        shown[side] = {row["id"]: (row, vector.tobytes()) for row, vector in zip(rows, vectors, strict=True)}
    return shown

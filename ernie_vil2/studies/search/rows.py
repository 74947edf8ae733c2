"""An index of vectors that stand for pictures: rows without files, a size and a number each, that filters ask for."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from ...search.store.columns import IMAGE_SCHEMA
from ...search.store.manifest import Manifest
from ...search.store.snapshot import Snapshot
from ...search.store.writer import open_writer
from .vectors import SyntheticVectors

MODEL = {"digest": "synthetic", "path": "synthetic vectors"}
FOLDERS = 100
"""That the pictures are said to lie in"""


def write_rows(folder: Path, vectors: SyntheticVectors, model: Mapping[str, Any] = MODEL) -> Snapshot:
    """The index of all vectors in a new folder, without neighbours. model: what they are said to be of."""
    with open_writer(folder, Manifest(width=vectors.width, model=dict(model))) as writer:
        first = 0
        for block in vectors.blocks():
            writer.add_table("image", table(first, len(block)), block)
            first += len(block)
        return writer.commit()


def table(first: int, count: int) -> pa.Table:
    """The columns of `count` pictures from number `first` on."""
    columns = {}
    for field in IMAGE_SCHEMA:
        kind = field.type
        if pa.types.is_integer(kind):
            columns[field.name] = pa.array(np.zeros(count, kind.to_pandas_dtype()), kind)
        elif pa.types.is_list(kind):
            columns[field.name] = pa.array([[]] * count, kind)
        else:
            numbers = (number % FOLDERS if field.name == "folder" else number for number in range(first, first + count))
            columns[field.name] = pa.array([f"{number:07d}" for number in numbers]).cast(kind)
    return pa.table(columns, schema=IMAGE_SCHEMA)

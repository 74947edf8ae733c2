"""The records of an evaluation: a row of a table, all rows of a run with what was compared, a run that was read."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..embeddings import Embeddings


@dataclass
class Result:
    """One row of a table.

    benchmark: name with its protocol, such as `coco-cn@1053`. task: retrieval, graded-retrieval, classification, sts or
    image-retrieval. metrics: {name: value}, shares in percent. counts: {what: number of}, such as images and texts.
    provenance: command, data_sha256, model_sha256, config_sha256 and versions; of a new row what differs from that of
    the run, such as the checksum of what this row alone was measured on. notes: sentences for a reader.
    """

    benchmark: str
    task: str
    metrics: dict[str, float]
    counts: dict[str, int]
    provenance: dict[str, Any] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass
class Outcome:
    """The rows of one run of a benchmark, and what a report can be drawn from.

    results: Result objects, one a protocol or subset. embeddings: where image and text embeddings were compared, else
    None; `pairs` int64 [P, 2] then holds (text row, image row) of all positives, `texts` the M texts, and `image(row)`
    gives anything that `encode_image` takes. data_sha256: checksum of the files read.
    """

    results: list[Result]
    data_sha256: str
    embeddings: Embeddings | None = None
    pairs: np.ndarray | None = None
    texts: tuple[str, ...] = ()
    image: Callable[[int], Any] | None = None


@dataclass
class Run:
    """A run folder that was read: where it lies, its Result objects, and `analysis.analyse`'s dictionary or None."""

    path: Path
    results: list[Result]
    analysis: dict[str, Any] | None = None

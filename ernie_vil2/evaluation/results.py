"""What an evaluation found, with what is needed to get it again; a folder per run."""

from dataclasses import dataclass, field
from typing import Any


@dataclass
class Result:
    """One row of a table.

    benchmark: name with its protocol, such as `coco-cn@1053`. task: retrieval, graded-retrieval, classification, sts or
    image-retrieval. metrics: {name: value}, shares in percent. counts: {what: number of}, such as images and texts.
    provenance: command, data_sha256, model_sha256, config_sha256 and versions. notes: sentences for a reader.
    """

    benchmark: str
    task: str
    metrics: dict
    counts: dict
    provenance: dict = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass
class Outcome:
    """The rows of one run of a benchmark, and what a report can be drawn from.

    results: Result objects, one a protocol or subset. embeddings: a `retrieval.Embeddings`, where image and text
    embeddings were compared, else None; `pairs` int64 [P, 2] then holds (text row, image row) of all positives, `texts`
    the M texts, and `image(row)` gives anything that `encode_image` takes. data_sha256: checksum of the files read.
    """

    results: list
    data_sha256: str
    embeddings: Any = None
    pairs: Any = None
    texts: tuple[str, ...] = ()
    image: Any = None

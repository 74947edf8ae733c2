"""What int8 costs a model in recall: of every tower alone, and of those that are kept together."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ..data.sources.base import Source
from ..inference.model import Model
from ..inference.quantization import with_int8
from .embeddings import Embeddings
from .encoding import Progress, encode_source
from .retrieval import evaluate

LARGEST_COST = 1.0
"""Points of R@1, mean of both directions, that int8 of one tower may cost"""
PROTOCOL = "standard"
DECIDING = "mean_r1"


@dataclass(frozen=True)
class Int8Cost:
    """Recall of a model in fp32 and quantised, as `retrieval.evaluate` gives it.

    costs: {tower: points of R@1 that int8 of this tower alone costs}; kept: the towers that `after` has in int8.
    """

    before: dict[str, dict[str, float]]
    after: dict[str, dict[str, float]]
    costs: dict[str, float]
    kept: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def images(self) -> int:
        """How many images it was measured on."""
        return int(self.before[PROTOCOL]["num_images"])


def int8_cost(
    model: Model, folders: Mapping[str, Path], source: Source, keep: bool = False, progress: Progress | None = None
) -> Int8Cost:
    """The Int8Cost of a model in fp32 whose int8 graphs are in these folders, {tower: folder}, on a source.

    keep: whether a tower is kept in int8 whatever it costs; else one over LARGEST_COST is not. Bad rows are left out.
    Raises DataError for a source without a usable pair.
    """

    def encoded(other: Model) -> Embeddings:
        return encode_source(other, source, skip_broken=True, progress=progress)

    plain, quantised = encoded(model), encoded(with_int8(model, folders))
    before = evaluate(plain, PROTOCOL)
    costs = {}
    for kind in folders:
        alone = evaluate(replace(plain, **{kind: getattr(quantised, kind)}), PROTOCOL)
        costs[kind] = before[PROTOCOL][DECIDING] - alone[PROTOCOL][DECIDING]
    kept = tuple(kind for kind in folders if keep or costs[kind] <= LARGEST_COST)
    if len(kept) < len(folders):
        quantised = encoded(with_int8(model, {kind: folders[kind] for kind in kept}))
    return Int8Cost(before, evaluate(quantised, PROTOCOL), costs, kept, plain.notes)

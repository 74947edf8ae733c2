"""How sharding divides a model: whole parameters to ranks, so the owner of the word embedding holds most."""

import functools

import numpy as np

from ...checkpoints.release_layout import manifest
from .view_costs import SIZES


@functools.cache
def owned(size: str, ranks: int) -> tuple[tuple[np.ndarray, ...], ...]:
    """For each rank that owns any, stand-ins of its parameters, of their shapes; divided by the training step's own
    rule."""
    from ...training.distributed import owners  # here, since it imports Paddle

    parts, shapes = {}, manifest(SIZES[size])
    stand_ins = {key: np.broadcast_to(np.float32(0), shape) for key, shape in shapes.items()}
    owner = owners(stand_ins.items(), min(ranks, len(shapes)))  # with more ranks the others own nothing
    for key, stand_in in stand_ins.items():
        parts.setdefault(owner[key], []).append(stand_in)
    return tuple(map(tuple, parts.values()))


def largest_load(size: str, ranks: int) -> int:
    """Values of the parameters of the rank that owns most."""
    return max(sum(part.size for part in parts) for parts in owned(size, ranks))


def collectives(size: str, ranks: int) -> int:
    """How many it takes to send every parameter, or its gradient, between its owner and all ranks: buckets are of one
    owner."""
    from ...training.optimization.gradients import buckets
    from ...training.optimization.weights import spans_of

    return sum(len(buckets(spans_of((("", part) for part in parts), set()), {})) for parts in owned(size, ranks))

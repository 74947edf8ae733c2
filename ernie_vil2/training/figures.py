"""What the host has to know of a step, fetched at once: on a card every read waits until all that was started is done.

Ranks join their summands in the same place: one all-reduce of about a dozen numbers, one read.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
import paddle
import paddle.distributed as dist

from ..errors import UserError
from .distributed import GradientSync
from .optimization.gradients import Gradients

PRIMES = (59, 61)
"""Residues of a checksum and their squares add up exactly in fp32 over 4,096 ranks"""


@dataclass(frozen=True)
class StepFigures:
    """Of the global batch: loss, norm of the gradient, parts of the loss by name, without those of which no sample has
    both views; counted: whether there is any, or the loss has no parts. flags: whether any rank said so."""

    loss: float
    norm: float
    parts: dict[str, float]
    counted: bool
    flags: tuple[bool, ...]


def read_figures(
    parts: Mapping[str, paddle.Tensor], flags: Sequence[bool], gradients: Gradients, sync: GradientSync
) -> StepFigures:
    """The figures of a step from what `System.loss` gave on this rank, its answers `flags` and the summed gradients.

    Raises UserError, on every rank, where ranks have gradients of different parameters.
    """
    ranks = sync.ranks
    square = gradients.squared_norm(owner=sync.own)
    if ranks.size > 1 and not ranks.main and sync.own is None:
        square = paddle.zeros_like(square)  # every rank has the whole norm: it counts once
    joined = paddle.concat([value.detach().astype("float32").reshape([1]) for value in (*parts.values(), square)])
    if ranks.size > 1:
        residues = [crc32(bytes(gradients.present)) % prime for prime in PRIMES]
        host = [*residues, *(residue**2 for residue in residues), *flags]
        joined = paddle.concat([joined, paddle.to_tensor(np.array(host, np.float32))])
        dist.all_reduce(joined)
    found = joined.numpy().astype(np.float64)
    if ranks.size > 1:
        sums, squares, *flags = np.split(found[len(parts) + 1 :], [2, 4])
        if (sums**2 != squares * ranks.size).any():
            raise UserError(
                f"ranks have gradients of different parameters, this one of {sum(gradients.present)}, so their sum "
                "would be wrong; start all ranks with the same configuration and the same version"
            )
        flags = flags[0]
    values = dict(zip(parts, found.tolist(), strict=False))
    loss, square = values.pop("loss"), found[len(parts)]
    named = {name: part for name, part in values.items() if part == part or not math.isfinite(loss)}
    norm = math.sqrt(square) if square == square else math.nan
    return StepFigures(loss, norm, named, bool(named) or not values, tuple(bool(flag) for flag in flags))

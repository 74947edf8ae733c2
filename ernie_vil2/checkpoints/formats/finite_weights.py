"""Weights that are no numbers: a model of them computes nothing, so they are found as they are read."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import CheckpointError
from .lazy_tensors import FLOATS, View, printable

BFLOAT16_EXPONENT = 0x7F80


class Finite(View):
    """The same tensors, bits as stored; reading one with a value that float32 holds as NaN or infinite raises
    CheckpointError."""

    def __init__(self, tensors: Mapping[str, Any], where: str | os.PathLike):
        super().__init__(tensors)
        self.where, self.passed = where, set()

    def __getitem__(self, key):
        array = self.tensors[key]
        if key not in self.passed:
            self.refuse(key, array)
            self.passed.add(key)
        return array

    def refuse(self, key: str, array: np.ndarray) -> None:
        kind = self.spec(key).dtype
        if kind == "bfloat16":
            good = (array & BFLOAT16_EXPONENT) != BFLOAT16_EXPONENT
        elif kind in FLOATS:
            with np.errstate(over="ignore"):
                good = np.isfinite(array.astype(np.float32, copy=False))
        else:
            return
        if not good.all():
            raise CheckpointError(
                f"{self.where}: {good.size - np.count_nonzero(good):,} of the {good.size:,} values of {printable(key)} "
                "are NaN or infinite, so nothing was written; take the weights again from their source, or those of an "
                "earlier step if they come from a run"
            )

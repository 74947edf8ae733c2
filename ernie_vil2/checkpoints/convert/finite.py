"""Weights that are no numbers: a model of them computes nothing, so they are found as they are read."""

from collections.abc import Mapping

import numpy as np

from ...errors import CheckpointError
from ..tensor_file import FLOATS, printable, spec_of

BFLOAT16_EXPONENT = 0x7F80


class Finite(Mapping):
    """The same tensors, bits as stored; reading one with a value that float32 holds as NaN or infinite raises
    CheckpointError."""

    def __init__(self, tensors, where):
        self.tensors, self.where, self.notes = tensors, where, tensors.notes
        self.passed = set()

    def __len__(self):
        return len(self.tensors)

    def __iter__(self):
        return iter(self.tensors)

    def __contains__(self, key):
        return key in self.tensors

    def spec(self, key):
        """Type and shape of a tensor."""
        return spec_of(self.tensors, key)

    def __getitem__(self, key):
        array = self.tensors[key]
        if key not in self.passed:
            self.refuse(key, array)
            self.passed.add(key)
        return array

    def refuse(self, key, array):
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

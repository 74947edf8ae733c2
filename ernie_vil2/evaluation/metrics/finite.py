"""Embeddings of a broken model are refused where they are made: NaN orders without a word, and so gives figures."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from ...errors import CheckpointError


def finite(embeds: ArrayLike, name: Callable[[int], object]) -> np.ndarray:
    """`embeds` [N, D] as an array, if all are finite; CheckpointError names the first item whose embedding is not.

    name: function position -> the item, for a message. Items that could not be read must be left out before.
    """
    embeds = np.asarray(embeds)
    wrong = np.flatnonzero(~np.isfinite(embeds).all(axis=1))
    if len(wrong):
        raise CheckpointError(
            f"the model's embeddings are not finite: NaN or infinity for {len(wrong):,} of {len(embeds):,} items "
            f"encoded together, the first is {name(int(wrong[0]))}; the weights are broken, so give another model"
        )
    return embeds

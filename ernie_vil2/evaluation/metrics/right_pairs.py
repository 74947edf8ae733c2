"""Which image is right for which text, a block of texts at a time, so that no list of all right pairs need be held."""

import numpy as np
from numpy.typing import ArrayLike

from ...errors import DataError


class RightPairs:
    """Pairs (text row, image row) int64 [P, 2], unique and sorted by text."""

    def __init__(self, pairs: np.ndarray) -> None:
        self.texts, self.images = pairs.T

    def of(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """(text rows, image rows) of the pairs of the texts start..stop."""
        own = slice(*np.searchsorted(self.texts, (start, stop)))
        return self.texts[own], self.images[own]

    def count(self) -> int:
        """How many pairs there are."""
        return len(self.texts)


class SharedTexts:
    """Right pairs where equal texts share their images: every text has those of its group.

    group: int64 [M], the group of each text; pairs: of (group, image row), so memory goes with the texts alone.
    """

    def __init__(self, group: np.ndarray, pairs: RightPairs) -> None:
        self.group = group
        self.images = pairs.images
        self.starts = np.searchsorted(pairs.texts, np.arange(group.max() + 2))

    def of(self, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
        """(text rows, image rows) of the pairs of the texts start..stop."""
        group = self.group[start:stop]
        first, counts = self.starts[group], self.starts[group + 1] - self.starts[group]
        rows = np.repeat(np.arange(start, start + len(group)), counts)
        inside = np.arange(len(rows)) - np.repeat(np.cumsum(counts) - counts, counts)
        return rows, self.images[np.repeat(first, counts) + inside]

    def count(self) -> int:
        """How many pairs `of` gives for all texts, without making them."""
        return int((self.starts[self.group + 1] - self.starts[self.group]).sum())


def share_texts(own: RightPairs, keys: ArrayLike, texts: int) -> RightPairs | SharedTexts:
    """The right pairs when texts with equal keys [M] have each other's images; as they are where none are equal."""
    keys = np.asarray(keys)
    if keys.shape != (texts,) or keys.dtype.kind not in "iu":
        raise DataError(
            f"text_keys are {keys.dtype} of shape {list(keys.shape)} for {texts} texts; give a whole number for each"
        )
    names, group = np.unique(keys, return_inverse=True)
    if len(names) == texts:
        return own
    group = group.reshape(-1)
    return SharedTexts(group, RightPairs(np.unique(np.stack([group[own.texts], own.images], axis=1), axis=0)))

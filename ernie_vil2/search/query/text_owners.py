"""Which pictures have a text: a text lives while a living picture has it."""

from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..store.part import Part


class TextOwners:
    """Who has which text in a snapshot; made when texts are first asked for. images, texts: its two parts."""

    def __init__(self, images: Part, texts: Part):
        self.images, self.texts = images, texts

    @cached_property
    def pairs(self) -> tuple[np.ndarray, np.ndarray]:
        """(int64 [n] ids of texts, int64 [n] ids of the living pictures that have them), in the order of rows."""
        texts, rows, first = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], 0
        for lists in self.images.table["texts"].chunks:
            texts.append(pc.fill_null(lists.flatten(), -1).to_numpy(zero_copy_only=False))
            rows.append(first + pc.list_parent_indices(lists).to_numpy().astype(np.int64))
            first += len(lists)
        text, row = np.concatenate(texts), np.concatenate(rows)
        kept = self.images.live[row] & (text >= 0)
        return text[kept], self.images.ids[row[kept]]

    def of(self, text: int) -> np.ndarray:
        """int64 [n], ascending: the living pictures that have a text."""
        texts, images = self.pairs
        return np.unique(images[texts == text])

    def owned(self, images: np.ndarray) -> np.ndarray:
        """int64 [n], ascending: the texts that some living pictures have. images: ascending ids."""
        texts, owners = self.pairs
        texts = texts[is_among(owners, images)]
        known = np.zeros(int(texts.max(initial=-1)) + 1, bool)
        known[texts] = True
        return np.flatnonzero(known)

    def of_kind(self, kind: str) -> np.ndarray:
        """int64 [n], ascending: the texts of a kind, caption or tag, that the index has."""
        same = pc.equal(self.texts.table["kind"], pa.scalar(kind)).to_numpy() & self.texts.live
        return np.sort(self.texts.ids[same])


def is_among(values: np.ndarray, known: np.ndarray) -> np.ndarray:
    """bool [n]: which values are among others, which are ascending."""
    if not len(known):
        return np.zeros(len(values), bool)
    places = np.searchsorted(known, values)
    return known[np.minimum(places, len(known) - 1)] == values

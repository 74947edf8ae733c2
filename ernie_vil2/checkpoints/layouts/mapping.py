"""States that are computed from another state, one tensor at a time, when a tensor is asked for."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..formats.lazy_tensors import Spec, spec_of


@dataclass(frozen=True)
class Entry:
    """A tensor made from others: `make(*arrays)` -> array of `shape`; without `make` it is the only source as it is.

    moves: `make` only moves the elements of one source, whose type is therefore kept. dtype: of what is made of none.
    """

    sources: tuple[str, ...]
    shape: tuple[int, ...]
    make: Callable | None = None
    moves: bool = False
    dtype: str = "float32"


class Mapped(Mapping):
    """{key: array} of entries {key: Entry} over a source state; arrays that are computed are float32."""

    def __init__(self, source: Mapping[str, Any], entries: dict[str, Entry], notes: Iterable[str] = ()):
        self.source, self.entries, self.notes = source, entries, list(notes)

    def __len__(self):
        return len(self.entries)

    def __iter__(self):
        return iter(self.entries)

    def spec(self, key: str) -> Spec:
        """Type and shape of a tensor."""
        entry = self.entries[key]
        if entry.make is None:
            return spec_of(self.source, entry.sources[0])
        kind = spec_of(self.source, entry.sources[0]).dtype if entry.moves else entry.dtype
        return Spec(kind, tuple(entry.shape))

    def __getitem__(self, key):
        entry = self.entries[key]
        arrays = [self.source[name] for name in entry.sources]
        if entry.make is None:
            return arrays[0]
        return np.asarray(entry.make(*arrays), None if entry.moves else entry.dtype, order="C")


def copied(key: str, shape: Sequence[int]) -> Entry:
    """An Entry that is the source's tensor as it is."""
    return Entry((key,), tuple(shape))


def transposed(key: str, shape: Sequence[int]) -> Entry:
    """An Entry that is a torch Linear weight [out, in] as Paddle's [in, out]; `shape` is the latter."""
    return Entry((key,), tuple(shape), lambda array: array.T, moves=True)


def reshaped(key: str, shape: Sequence[int]) -> Entry:
    """An Entry with the source's elements in another shape."""
    return Entry((key,), tuple(shape), lambda array: array.reshape(shape), moves=True)


def stacked(keys: Sequence[str], shape: Sequence[int], axis: int = -1) -> Entry:
    """An Entry that joins the sources along an axis, such as query, key and value [in, out] to one [in, 3 out]."""
    return Entry(tuple(keys), tuple(shape), lambda *arrays: np.concatenate(arrays, axis=axis))

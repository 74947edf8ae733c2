"""A source made of others: every row is a row of one of its parts."""

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import SupportsIndex

import numpy as np

from ...messages import counted
from .base import SIDES, Sample, Source


class CompositeSource(Source):
    """Sub-classes set `parts` and `name`, and say in `locate` which row of which part a position is."""

    @abstractmethod
    def locate(self, index: int) -> tuple[Source, int]:
        """(part, row in it) of a position 0 <= index < len."""

    def load(self, index: int) -> Sample:
        part, row = self.locate(index)
        return part.load(row)

    def where(self, index: SupportsIndex) -> str:
        part, row = self.locate(self.position(index))
        return part.where(row)

    def key(self, index: SupportsIndex) -> str:
        part, row = self.locate(self.position(index))
        return part.key(row)

    def tell_parts_apart(self) -> None:
        """Qualify ids when there are several parts; to be called once `parts` are set."""
        if len(self.parts) > 1:
            self.qualify_ids(len(self.folders()) > 1)

    def qualify_ids(self, folders: bool = True) -> None:
        for part in self.parts:
            part.qualify_ids(folders)

    def own_id(self, index: int, key: str) -> str:
        part, row = self.locate(index)
        return part.own_id(row, key)

    def folders(self) -> set[Path | str | None]:
        return set().union(*(part.folders() for part in self.parts))

    @property
    def sides(self) -> tuple[str, ...]:
        return tuple(side for side in SIDES if any(side in part.sides for part in self.parts))

    def lacking(self, side: str) -> list[str]:
        return [name for part in self.parts for name in part.lacking(side)]

    @property
    def notes(self) -> list[str]:
        return [note for part in self.parts for note in part.notes]

    def faults(self, checksums: bool = False) -> Iterator[str]:
        for part in self.parts:
            yield from part.faults(checksums)

    def unused_files(self) -> Iterator[Path]:
        for part in self.parts:
            yield from part.unused_files()


class JoinedSource(CompositeSource):
    """Several sources one after the other, as one."""

    def __init__(self, parts: Iterable[Source], name: str):
        self.parts = list(parts)
        self.name = name
        self.ends = list(accumulate(len(part) for part in self.parts))
        self.tell_parts_apart()

    def __len__(self):
        return self.ends[-1]

    def describe(self) -> str:
        first, last = self.parts[0].name, self.parts[-1].name
        return f"{self.name}: {counted(len(self), 'sample')} in {len(self.parts)} sources, from {first} to {last}"

    def shard_sizes(self) -> list[int]:
        return [size for part in self.parts for size in part.shard_sizes()]

    def locate(self, index: int) -> tuple[Source, int]:
        number = bisect_right(self.ends, index)
        return self.parts[number], index - (self.ends[number - 1] if number else 0)


class SelectedRows(CompositeSource):
    """Some rows of a source, in the order of `rows`, int [n]."""

    def __init__(self, source: Source, rows: Sequence[int] | np.ndarray):
        self.parts, self.rows, self.name = [source], rows, source.name

    def __len__(self):
        return len(self.rows)

    def locate(self, index: int) -> tuple[Source, int]:
        return self.parts[0], int(self.rows[index])

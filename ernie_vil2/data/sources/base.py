"""What every source gives: samples, an error per bad row, and one way to walk over them."""

import hashlib
import operator
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np

from ...errors import ConfigError, DataError
from ...messages import counted

Boxes = tuple[tuple[float, float, float, float], ...]
"""(x1, y1, x2, y2) of each box of an image, in pixels of the image as it is stored"""
IMAGE_ALONE, TEXT_ALONE = ("image",), ("text",)
SIDES = IMAGE_ALONE + TEXT_ALONE
TITLES = {"image": "images", "text": "captions"}


@dataclass(frozen=True)
class Sample:
    """One row of a source: an image with its captions.

    `id` is the image id: samples that share it are positives of each other. `image` is encoded bytes, a path, or RGB
    uint8 [H, W, 3]; `texts` has at least one caption. In a source that has one side alone, `image` is None or `texts`
    is empty; `tags` may be empty; `where` is `file:line`. boxes: [n, 4] of
    (x1, y1, x2, y2) in pixels of the image as it is stored; None where nobody looked for any.
    """

    id: str
    image: bytes | Path | np.ndarray | None
    texts: tuple[str, ...]
    tags: tuple[str, ...]
    where: str
    boxes: Boxes | None = None


def digest(data: bytes | memoryview) -> int:
    """64 bits of a hash of bytes, as a Python integer."""
    return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")


def without_front(key: str, *fronts: str) -> str:
    """An id without the first of these that it begins with."""
    return next((key.removeprefix(front) for front in fronts if front and key.startswith(front)), key)


class Sought(NamedTuple):
    """A file that a row names and that is not there: the folder its path begins at, and the path."""

    folder: str
    name: str


class RowError(DataError):
    """One unusable row: `where` (file:line), `cause` (a fixed name to count by), `reason` and `fix` as clauses.

    sought: the file that is missing, where that is the cause.
    """

    sought: Sought | None = None

    def __init__(self, where: str, cause: str, reason: str, fix: str):
        super().__init__(where, cause, reason, fix)
        self.where, self.cause, self.reason, self.fix = where, cause, reason, fix

    def sentence(self) -> str:
        return f"{self.where}: {self.reason}; {self.fix}"


class Source(ABC):
    """A sequence of samples with random access, safe to share between threads, forks and pickles.

    Sub-classes give `name`, `__len__`, `load(index)` for 0 <= index < len, and what is cheaper than the defaults here.
    """

    name = "source"
    sides: tuple[str, ...] = SIDES
    """What its rows have: an image, texts, or both; of a source that is made of others, what some rows have"""

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def load(self, index: int) -> "Sample":
        """The Sample at a checked index; raises DataError naming file:line, reason and fix."""

    def __getitem__(self, index: SupportsIndex) -> Sample:
        return self.load(self.position(index))

    def position(self, index: SupportsIndex) -> int:
        """`index` (any integer type, negative from the end) as 0 <= i < len; IndexError outside."""
        index, count = operator.index(index), len(self)
        if not -count <= index < count:
            raise IndexError(f"{self.name} has {count} rows, so there is no row {index}")
        return index % count

    def where(self, index: SupportsIndex) -> str:
        """The place of a row for messages, without reading it."""
        return f"{self.name}:{self.position(index) + 1}"

    def key(self, index: SupportsIndex) -> str:
        """The image id of a row, without decoding its image."""
        return self[index].id

    def qualify_ids(self, folders: bool = True) -> None:
        """Tell ids from those of other sources, for a join: ids that rows give get `FILE#` in front, the file being the
        source's own; ids that are relative paths get the folder, if there are several `folders`. An id that is a digest
        of the image stays."""

    def own_id(self, index: int, key: str) -> str:
        """The `key` of the row at a checked index without what `qualify_ids` has put in front of it."""
        return key

    def folders(self) -> set[Path | str | None]:
        """The folders that paths of images are relative to."""
        return {getattr(self, "folder", None)}

    def lacking(self, side: str) -> list[str]:
        """Names of the sources among which this one is divided whose rows have no such side."""
        return [] if side in self.sides else [self.name]

    def describe(self) -> str:
        """One line on what was found, to be shown before a model is loaded."""
        return f"{self.name}: {counted(len(self), 'sample')}"

    @property
    def notes(self) -> list[str]:
        """Sentences on what the source leaves out and why, to be shown beside `describe`; none when all is there."""
        return []

    def shard_sizes(self) -> list[int]:
        """Row counts of the files that rows lie in, in order; their sum is len(self). Shuffling goes by them."""
        return [len(self)]

    def faults(self, checksums: bool = False) -> Iterator[str]:
        """Sentences on files that are not as they were written: cut, changed; `checksums` reads all of them."""
        return iter(())

    def unused_files(self) -> Iterator[Path]:
        """Paths of image files that belong to the source but to none of its rows; only a folder can have some."""
        return iter(())

    def samples(
        self, on_error: str = "raise", errors: list[DataError] | None = None, start: int = 0, stop: int | None = None
    ) -> Iterator[Sample]:
        """Iterate over rows start..stop; on_error="skip" leaves bad rows out and puts their errors in `errors`."""
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error is {on_error!r}, but it must be 'raise' or 'skip'")
        return self._walk(on_error, errors, range(len(self))[start:stop])

    def __iter__(self) -> Iterator[Sample]:
        return self.samples()

    def _walk(self, on_error, errors, rows):
        for index in rows:
            try:
                sample = self[index]
            except DataError as error:
                if on_error == "raise":
                    raise
                if errors is not None:
                    errors.append(error)
                continue
            yield sample


def require_sides(source: Source, use: str, every: Collection[str] = SIDES, some: Collection[str] = ()) -> None:
    """DataError where a row may lack one of the sides in `every`, or all rows lack one of those in `some`; `use` says
    what needs them."""
    lacking = [(source.lacking(side), side) for side in every] + [
        ([source.name], side) for side in some if side not in source.sides
    ]
    for names, side in lacking:
        if names:
            raise DataError(f"{names[0]} has no {TITLES[side]}, which {use} needs; give a source that has them")

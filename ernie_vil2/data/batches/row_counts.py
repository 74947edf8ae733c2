"""Which rows were bad so far, each counted once however often it was drawn: a bit for each row of the source."""

import collections
from collections.abc import Iterable

import numpy as np

from ...errors import DataError
from ..sources.usable import too_many_bad

SHOWN = 5


class RowCounts:
    """Rows of a source of `rows` that were drawn and that were bad, and how often bad ones were replaced.

    `causes` counts bad rows by cause; `last` holds the places of the last few.
    """

    def __init__(self, rows: int):
        self._drawn, self._bad = (np.zeros(-(-rows // 8), np.uint8) for _ in range(2))
        self.seen = self.bad = self.replaced = 0
        self.causes, self.last = collections.Counter(), collections.deque(maxlen=SHOWN)

    def draw(self, positions: np.ndarray) -> None:
        """Count rows that were drawn."""
        self.seen += len(set_bits(self._drawn, positions))

    def replace(self, errors: Iterable[DataError]) -> list[DataError]:
        """Count bad rows by their errors, which have `index`, `cause` and `where`; those not met before."""
        errors = list(errors)
        self.replaced += len(errors)
        fresh = set(set_bits(self._bad, np.array([error.index for error in errors], np.int64)).tolist())
        new = [error for error in {error.index: error for error in errors}.values() if error.index in fresh]
        self.bad += len(new)
        self.causes.update(error.cause for error in new)
        self.last.extend(error.where for error in new)
        return new

    def too_many(self, most: float) -> bool:
        """Whether the share of bad rows is over `most`."""
        return too_many_bad(self.bad, self.seen, most)

    def __str__(self):
        return f"{self.bad:,} of {self.seen:,} rows are bad and were replaced {self.replaced:,} times"


def set_bits(bits: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Set bits of uint8 `bits`; the positions, each once, whose bit was not set before."""
    positions = np.unique(positions)
    places, masks = positions >> 3, np.uint8(1) << (positions & 7).astype(np.uint8)
    fresh = (bits[places] & masks) == 0
    np.bitwise_or.at(bits, places, masks)
    return positions[fresh]

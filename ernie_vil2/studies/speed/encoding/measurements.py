"""What a comparison measured, and the figures that follow from it."""

import statistics
from dataclasses import dataclass, field

from .sides import DYNAMIC, Side


@dataclass
class Measured:
    """A side. refused: why it took no part, "" where it did; how: its own choice among ways to compute.

    seconds: {kind: of an item, turn by turn}; queries: {kind: of every single item}; largest, cosine: of normalised
    embeddings, the largest difference from dynamic mode's and the smallest cosine with them.
    """

    side: Side
    refused: str = ""
    how: str = ""
    seconds: dict[str, list[float]] = field(default_factory=dict)
    queries: dict[str, list[float]] = field(default_factory=dict)
    largest: float | None = None
    cosine: float | None = None


@dataclass
class Comparison:
    """All sides by name.

    operations: {kind: of an item}, {} where they are not counted; tokens: {kind of caption: of each}; images, texts:
    items of a turn; cores: of every side; peaks: {precision: operations a second, turn by turn}; without_peak:
    {precision: why it has none}.
    """

    operations: dict[str, float]
    tokens: dict[str, int]
    images: int
    texts: int
    cores: int
    sides: dict[str, Measured] = field(default_factory=dict)
    peaks: dict[str, list[float]] = field(default_factory=dict)
    without_peak: dict[str, str] = field(default_factory=dict)

    def rate(self, name: str, kind: str) -> float | None:
        """Items a second of a side, the median of its turns; None where it was not measured."""
        seconds = self.seconds(name, kind)
        return 1 / statistics.median(seconds) if seconds else None

    def ratio(self, name: str, kind: str, other: str = DYNAMIC) -> float | None:
        """How many times as fast as another side, the median over turns in which both ran within seconds."""
        mine, theirs = self.seconds(name, kind), self.seconds(other, kind)
        return statistics.median(b / a for a, b in zip(mine, theirs, strict=False)) if mine and theirs else None

    def query(self, name: str, kind: str) -> float | None:
        """Median seconds of a single item."""
        found = self.sides[name].queries.get(kind) if name in self.sides else None
        return statistics.median(found) if found else None

    def speed(self, name: str, kind: str) -> float | None:
        """Operations a second."""
        rate = self.rate(name, kind)
        return rate * self.operations[kind] if rate and self.operations else None

    def peak(self, precision: str) -> float | None:
        """Operations a second of the matrix peak, the median of its turns."""
        found = self.peaks.get(precision)
        return statistics.median(found) if found else None

    def share(self, name: str, kind: str) -> float | None:
        """Share of the peak of the side's own precision."""
        speed, peak = self.speed(name, kind), self.peak(self.sides[name].side.precision)
        return speed / peak if speed and peak else None

    def seconds(self, name: str, kind: str) -> list[float]:
        """Of an item, turn by turn; empty for a side that took no part."""
        return self.sides[name].seconds.get(kind, []) if name in self.sides else []

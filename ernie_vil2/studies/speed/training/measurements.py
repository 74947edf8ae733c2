"""What a comparison measured, and the figures that follow from it."""

import statistics
from dataclasses import dataclass, field

from .work import Work

PROJECT, TORCH = "project", "torch"
Turn = list[dict[str, float]]
"""{part: seconds} of each step"""


@dataclass
class Measured:
    """A side. refused: why it took no part, "" where it did; how: its own choice among ways to compute."""

    refused: str = ""
    how: str = ""
    turns: list[Turn] = field(default_factory=list)


@dataclass
class Spread:
    """The median of what the turns gave, the least and the most."""

    median: float
    least: float
    most: float


def spread(values: list[float]) -> Spread | None:
    """Of some values; None of none."""
    return Spread(statistics.median(values), min(values), max(values)) if values else None


@dataclass
class Comparison:
    """Both sides by name. operations: 1e12 of a pair, None where they are not counted; peaks: operations a second, turn
    by turn; without_peak: why there are none."""

    work: Work
    operations: float | None
    sides: dict[str, Measured] = field(default_factory=dict)
    peaks: list[float] = field(default_factory=list)
    without_peak: str = ""

    def seconds(self, name: str, part: str = "step") -> list[float]:
        """Of a step, or of a part of it: the mean of each turn; empty for a side that took no part."""
        turns = self.sides[name].turns if name in self.sides else []
        return [statistics.mean(step.get(part, 0.0) for step in turn) for turn in turns]

    def rate(self, name: str) -> Spread | None:
        """Pairs a second."""
        return spread([self.work.batch / seconds for seconds in self.seconds(name)])

    def ratio(self, name: str, other: str) -> Spread | None:
        """How many times as fast as another side, turn by turn."""
        pairs = zip(self.seconds(name), self.seconds(other), strict=False)
        return spread([theirs / mine for mine, theirs in pairs])

    def speed(self, name: str) -> float | None:
        """1e12 operations a second."""
        rate = self.rate(name)
        return rate.median * self.operations if rate and self.operations else None

    def share(self, name: str) -> float | None:
        """Share of the peak."""
        speed = self.speed(name)
        return 1e12 * speed / statistics.median(self.peaks) if speed and self.peaks else None

    def parts(self, name: str) -> list[str]:
        """Names of the parts of a side's steps, without the whole."""
        every = dict.fromkeys(part for turn in self.sides[name].turns for step in turn for part in step)
        return [part for part in every if part != "step"]

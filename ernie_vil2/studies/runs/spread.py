"""The spread of figures over seeds, and what a few of them allow to say: Student's t."""

import math
import statistics
from collections.abc import Iterable, Sequence

STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; the last one serves for more."""


def interval(values: Sequence[float]) -> float:
    """Half width of the 95 % interval of the mean; infinite for fewer than two values."""
    if len(values) < 2:
        return math.inf
    quantile = STUDENT[min(len(values) - 1, len(STUDENT)) - 1]
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def side(values: Sequence[float]) -> int:
    """1 or -1 where the 95 % interval of the mean lies above or below zero, else 0, as for fewer than two values."""
    if len(values) < 2:
        return 0
    mean, half = statistics.mean(values), interval(values)
    return (mean > half) - (mean < -half)


def spread(values: Iterable[float], sign: str = "") -> str:
    """Mean ± standard deviation as text."""
    values = list(values)
    if not values:
        return "–"
    mean = format(statistics.mean(values), f"{sign}.2f")
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else f"{mean} (one seed)"


def span(values: Sequence[float]) -> str:
    """The 95 % interval of the mean as text."""
    mean, half = statistics.mean(values), interval(values)
    return f"{mean - half:+.2f} to {mean + half:+.2f}" if math.isfinite(half) else "unknown"

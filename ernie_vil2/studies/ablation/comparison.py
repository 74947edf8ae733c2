"""Configurations of the ablation compared seed by seed: differences, their spread, and what that allows to say."""

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Results = Sequence[Mapping[str, Any]]
"""What finished runs wrote: name, seed, config, metrics, log and minutes"""
COMMAND = "bench ablation"
"""What marks the files of the study as its own."""
NAMES = {
    "image_text": "image-text",
    "image_image": "+ image-image",
    "text_text": "+ text-text",
    "tags": "+ tags",
    "all": "all views",
}
BASE = "image_text"
STUDENT = (12.71, 4.30, 3.18, 2.78, 2.57, 2.45, 2.36, 2.31, 2.26)
"""Two-sided 95 % quantiles of Student's t for 1, 2, ... degrees of freedom; the last one serves for more."""


def figures(results: Results, name: str, key: str) -> dict[int, float]:
    """{seed: value} of a configuration."""
    return {result["seed"]: result["metrics"][key] for result in results if result["name"] == name}


def differences(results: Results, name: str, key: str) -> list[float]:
    """Values of a configuration minus those of image-text with the same seed."""
    own, base = figures(results, name, key), figures(results, BASE, key)
    return [own[seed] - base[seed] for seed in own if seed in base]


def interval(values: Sequence[float]) -> float:
    """Half width of the 95 % interval of the mean; infinite for fewer than two values."""
    if len(values) < 2:
        return math.inf
    quantile = STUDENT[min(len(values) - 1, len(STUDENT)) - 1]
    return quantile * statistics.stdev(values) / math.sqrt(len(values))


def verdict(values: Sequence[float]) -> str:
    """helps, hurts or neither: whether the 95 % interval of the mean difference lies on one side of zero."""
    if len(values) < 2:
        return "unknown with one seed"
    mean, half = statistics.mean(values), interval(values)
    return "helps" if mean > half else "hurts" if mean < -half else "no difference beyond the spread"


def spread(values: Iterable[float], sign: str = "") -> str:
    """Mean ± standard deviation as text."""
    values = list(values)
    if not values:
        return "–"
    mean = format(statistics.mean(values), f"{sign}.2f")
    return f"{mean} ± {statistics.stdev(values):.2f}" if len(values) > 1 else f"{mean} (one seed)"

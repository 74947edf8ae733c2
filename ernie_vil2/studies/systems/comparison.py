"""Systems compared seed by seed: figures, their differences, and who leads by more than the spread."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..runs.spread import side

Results = Sequence[Mapping[str, Any]]
"""What finished runs wrote: name, seed, batch, rate, config, metrics, log and minutes"""
COMMAND = "bench systems"
"""What marks the files of the study as its own."""
NAMES = {
    "clip": "CLIP",
    "ernie_vil2": "ERNIE-ViL 2.0",
    "brivl": "BriVL",
    "brivl_batch": "BriVL, batch",
    "cookie": "COOKIE",
}
BASE, QUEUE, CONTROL = "clip", "brivl", "brivl_batch"
"""The measure of the others; the system with a queue; the same one with the batch as negatives"""
METRICS = {
    "t2i_r1": "T2I R@1",
    "i2t_r1": "I2T R@1",
    "mean_recall": "mean recall",
    "spearman": "Spearman",
    "pearson": "Pearson",
    "map": "mAP",
}
TASKS = {"mean_recall": "retrieval", "spearman": "text matching", "map": "image retrieval"}
"""The headline metric of each task"""


def figures(results: Results, name: str, batch: int, key: str) -> dict[int, float]:
    """{seed: value} of a system at a batch."""
    return {row["seed"]: row["metrics"][key] for row in results if (row["name"], row["batch"]) == (name, batch)}


def differences(results: Results, name: str, other: str, batch: int, key: str) -> list[float]:
    """Values of a system minus those of another with the same seed."""
    own, base = figures(results, name, batch, key), figures(results, other, batch, key)
    return [own[seed] - base[seed] for seed in own if seed in base]


@dataclass(frozen=True)
class Lead:
    """How a task ended at a batch: systems from the best mean to the worst, and the first's lead over the second in
    points, a value a seed; `beyond` tells whether its 95 % interval lies above zero."""

    order: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def beyond(self) -> bool:
        return side(self.values) > 0


def systems_of(results: Results, batch: int) -> list[str]:
    """The systems that have runs at a batch, in the order of the table."""
    present = {row["name"] for row in results if row["batch"] == batch}
    return [name for name in NAMES if name in present]


def batches_of(results: Results) -> list[int]:
    """The batches, rising."""
    return sorted({row["batch"] for row in results})


def lead(results: Results, batch: int, key: str) -> Lead:
    """Who is best in a metric, and by how much; of one system alone the lead has no values."""
    means = {name: statistics.mean(figures(results, name, batch, key).values()) for name in systems_of(results, batch)}
    order = tuple(sorted(means, key=lambda name: -means[name]))
    return Lead(order, tuple(differences(results, *order[:2], batch, key)) if len(order) > 1 else ())


def worse(results: Results, name: str, batch: int, key: str) -> bool:
    """Whether any other system is better by more than the spread."""
    others = (other for other in systems_of(results, batch) if other != name)
    return any(side(differences(results, other, name, batch, key)) > 0 for other in others)


def change(results: Results, name: str, other: str, key: str, small: int, large: int) -> list[float]:
    """What a system gains over another at a small batch, minus what it gains at a large one, a value a seed."""
    gains = []
    for batch in (small, large):
        own, base = figures(results, name, batch, key), figures(results, other, batch, key)
        gains.append({seed: own[seed] - base[seed] for seed in own if seed in base})
    return [gains[0][seed] - gains[1][seed] for seed in gains[0] if seed in gains[1]]

"""What a point has found, as a person reads it and as gpu-report.json keeps it."""

import dataclasses
import math
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ernie_vil2.files.json_files import write_json
from ernie_vil2.versions import versions
from tests.gpu.cards import driver_and_cards

SETTINGS = ("NVIDIA_TF32", "FLAGS_", "NCCL_", "CUDA_VISIBLE_DEVICES")
"""Beginnings of the environment variables that change what is measured."""


@dataclass(frozen=True)
class Figure:
    """A measured value: a number that shall be from `least` to `most`, or, without these, something that is told."""

    value: float | int | str | None
    unit: str = ""
    most: float | None = None
    least: float | None = None

    @property
    def inside(self) -> bool:
        """Whether it is within its limits; what is no finite number is not."""
        if self.most is None and self.least is None:
            return True
        if not isinstance(self.value, (int, float)) or not math.isfinite(self.value):
            return False
        return (self.most is None or self.value <= self.most) and (self.least is None or self.value >= self.least)

    def __str__(self) -> str:
        number = f"{self.value:.4g}" if isinstance(self.value, float) else str(self.value)
        bounds = [("least", self.least), ("most", self.most)]
        limits = ", ".join(f"{word} {limit:g}" for word, limit in bounds if limit is not None)
        return f"{number}{' ' * bool(self.unit)}{self.unit}" + (f" ({limits})" if limits else "")


@dataclass(frozen=True)
class Record:
    """One thing that a point has measured, and what that means.

    reason: why there is nothing, or not all, to judge; lacking: because something is not there, such as a second card.
    """

    point: str
    case: str = ""
    figures: dict[str, Figure] = field(default_factory=dict)
    meaning: str = ""
    reason: str = ""
    lacking: bool = False
    details: dict = field(default_factory=dict)

    @property
    def passed(self) -> bool | None:
        """Whether all figures are inside their limits; False where it broke, None where it could not run."""
        if self.reason:
            return None if self.lacking else False
        return all(figure.inside for figure in self.figures.values())

    def lines(self) -> str:
        """One or two lines: what was measured, and what it means or why it is not there."""
        head = f"{self.point}{', ' * bool(self.case)}{self.case}"
        word = {True: "passed", False: "FAILED", None: "not run"}[self.passed]
        told = "; ".join(f"{name} {figure}" for name, figure in self.figures.items())
        said = self.reason or self.meaning
        return f"{word}: {head}{': ' * bool(told)}{told}" + (f"\n    {said}" if said else "")

    def as_json(self) -> dict:
        """As plain data, with `passed`."""
        return {**dataclasses.asdict(self), "passed": self.passed}

    @classmethod
    def from_json(cls, data: dict) -> "Record":
        """What `as_json` gave."""
        data = {key: value for key, value in data.items() if key != "passed"}
        return cls(**{**data, "figures": {name: Figure(**figure) for name, figure in data["figures"].items()}})


def paddle_build() -> dict[str, str]:
    """Of the installed Paddle: version, commit, and the libraries and architectures that it was built for."""
    from paddle import version

    names = ("full_version", "commit", "cuda_version", "cudnn_version", "nccl_version", "compiled_cuda_archs")
    return {name: str(getattr(version, name, None)) for name in names}


class Report:
    """Records of all points, in a file that is whole after each of them."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.path, self.began = Path(path), time.monotonic()
        self.records, self.variables = [], {}
        self.machine = {"versions": versions(), "paddle": paddle_build(), **driver_and_cards()}

    def add(self, records: list[Record], variables: Mapping[str, str]) -> None:
        """Take the records of a point in, with the variables of its environment, and write the file anew."""
        self.records += records
        self.variables[records[0].point] = dict(variables)
        write_json(self.path, self.content(), command="make test-gpu")

    def content(self) -> dict:
        """As plain data."""
        outcomes = [record.passed for record in self.records]
        counts = {"passed": outcomes.count(True), "failed": outcomes.count(False), "not_run": outcomes.count(None)}
        settings = {key: value for key, value in sorted(os.environ.items()) if key.startswith(SETTINGS)}
        return {
            **self.machine,
            "settings": settings,
            "settings_of_points": self.variables,
            "seconds": round(time.monotonic() - self.began, 1),
            "counts": counts,
            "records": [record.as_json() for record in self.records],
        }

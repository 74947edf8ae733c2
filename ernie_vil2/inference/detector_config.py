"""What infer_cfg.yml of an exported PaddleDetection detector says: steps of preprocessing, and names of classes."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError
from ..messages import quoted
from ..schema import as_dict, build, document

FINITE = {"minimum": -1e6, "maximum": 1e6}


@dataclass
class Resize:
    """Options of the step Resize."""

    target_size: int | tuple[int, ...] = document(0, "rows and columns, or both", minimum=1, maximum=8192)
    keep_ratio: bool = document(True, "by one factor")
    interp: int = document(1, "OpenCV's number of the interpolation", minimum=0, maximum=4)


@dataclass
class Normalize:
    """Options of the step NormalizeImage."""

    mean: float | tuple[float, ...] = document((0.0, 0.0, 0.0), "taken off", **FINITE)
    std: Any = document((1.0, 1.0, 1.0), "divided by")
    is_scale: bool = document(True, "after a division by 255")
    norm_type: str | None = document("mean_std", "mean_std, or none")


@dataclass
class PadStride:
    """Options of the step PadStride."""

    stride: int = document(0, "what both sides become multiples of", minimum=0, maximum=1024)


STEPS = {"Resize": Resize, "NormalizeImage": Normalize, "Permute": None, "PadStride": PadStride}
"""{step: its options, None where it has none; others that a file gives are passed over}"""


def read_steps(config: Mapping[str, Any], where: str | os.PathLike) -> list[tuple[str, dict[str, Any]]]:
    """[(step, options)] of the preprocessing list; ConfigError for an unknown step, and for options that are none."""
    steps, entries = [], config.get("Preprocess") or []
    for entry in entries if isinstance(entries, list) else [entries]:
        if not isinstance(entry, dict):
            raise ConfigError(f"{where}: Preprocess holds {quoted(entry)}; give a list of mappings with a type")
        kind = entry.get("type")
        if not isinstance(kind, str) or kind not in STEPS:
            raise ConfigError(f"{where}: preprocessing {quoted(kind)} is not known; known are {', '.join(STEPS)}")
        steps.append((kind, read_options(kind, entry, where)))
    if not steps:
        raise ConfigError(f"{where}: no Preprocess list; give the infer_cfg.yml of a PaddleDetection export")
    return steps


def read_options(kind: str, entry: Mapping[str, Any], where: str | os.PathLike) -> dict[str, Any]:
    """The options of a step that the file gives."""
    if STEPS[kind] is None:
        return {}
    known = STEPS[kind].__dataclass_fields__
    given = as_dict(build(STEPS[kind], {key: entry[key] for key in entry if key in known}, where, kind))
    if kind == "NormalizeImage" and not above_zero(given["std"]):
        raise ConfigError(f"{where}: {kind} has std {quoted(given['std'])}; give numbers above 0")
    for name, most in (("target_size", 2), ("mean", 3), ("std", 3)):
        if isinstance(given.get(name), list) and len(given[name]) != most:
            raise ConfigError(f"{where}: {kind} has {name} {quoted(given[name])}; give {most} numbers")
    if kind == "Resize" and not given["target_size"]:
        raise ConfigError(f"{where}: {kind} has no target_size; give rows and columns")
    return given


def above_zero(value: Any) -> bool:
    """Whether a value is a number, or a list of numbers, over 1e-6."""
    parts = value if isinstance(value, list) else [value]
    numbers = [part for part in parts if isinstance(part, (int, float)) and not isinstance(part, bool)]
    return len(numbers) == len(parts) > 0 and all(1e-6 < number <= FINITE["maximum"] for number in numbers)


def read_labels(config: Mapping[str, Any], where: str | os.PathLike) -> list[str]:
    """The names of the classes, [] where there are none; ConfigError for what is no list of names."""
    names = config.get("label_list") or []
    if not isinstance(names, list) or any(isinstance(name, (list, dict)) for name in names):
        raise ConfigError(f"{where}: label_list is {quoted(names)}; give a list of names")
    return [str(name) for name in names]

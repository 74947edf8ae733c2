"""Compare the shapes of a source's tensors with what its layout needs, and find out sizes by them."""

import math
import os
import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from ...errors import CheckpointError
from ..formats.lazy_tensors import FLOATS, printable, spec_of
from ..misfit import MisfitError

MAX_DEPTH = 1000


def check(state: Mapping[str, Any], wanted: Mapping[str, Sequence[int]], where: str | os.PathLike, name: str) -> None:
    """Raise one MisfitError on what is missing, mis-shaped or not floating point among `wanted`
    {key: shape} in a state of the layout `name`."""
    found = {key: spec_of(state, key) for key in wanted if key in state}
    problems = {
        "missing": [key for key in wanted if key not in found],
        "mis-shaped": [
            f"{key} (wanted {list(wanted[key])}, found {list(spec.shape)})"
            for key, spec in found.items()
            if tuple(spec.shape) != tuple(wanted[key])
        ],
        "not floating point": [f"{key} ({spec.dtype})" for key, spec in found.items() if spec.dtype not in FLOATS],
    }
    problems = {kind: names for kind, names in problems.items() if names}
    if problems:
        raise MisfitError(
            f"{where} is in the layout {name} but its tensors do not fit each other or its config.json",
            problems,
            len(wanted),
            "take the files again from their source",
        )


def sides(state: Mapping[str, Any], key: str, where: str | os.PathLike, rank: int) -> tuple[int, ...]:
    """The shape of a tensor that sizes are read from, of `rank` dimensions, none of them 0."""
    shape = tuple(spec_of(state, key).shape) if key in state else ()
    if len(shape) != rank or 0 in shape:
        raise CheckpointError(
            f"{where}: {printable(key)} {'is missing' if key not in state else f'has shape {list(shape)}'}, "
            f"but a tensor of {rank} dimensions is needed; take the file again from its source"
        )
    return shape


def depth(keys: Iterable[str], pattern: str, where: str | os.PathLike) -> int:
    """Blocks of a tower: one more than the highest number that the group of `pattern` finds at the start of a key."""
    found = [int(match[1]) for key in keys if (match := re.match(pattern, key))]
    if not found or max(found) >= MAX_DEPTH:
        raise CheckpointError(f"{where}: has no blocks, or over {MAX_DEPTH}; take the file again from its source")
    return max(found) + 1


def compare_sizes(settings: Mapping[str, Any], found: Mapping[str, int], where: str | os.PathLike) -> None:
    """CheckpointError where the settings name other sizes than those {name: size} that the tensors have."""
    wrong = {key: size for key, size in found.items() if settings.get(key, size) != size}
    different = [f"{key} {settings[key]} (found {size})" for key, size in wrong.items()]
    if different:
        raise CheckpointError(
            f"{where}: its tensors are not of the size that its config.json says: {', '.join(different)}; "
            "give the config.json that belongs to these weights"
        )


def overruled(options: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    """Notes on the options of {name: value} that differ from what the source's own settings tell."""
    return [
        f"{name} is {options[name]}, as asked for, where its own settings say {told[name]}"
        for name in ("heads", "activation", "epsilon")
        if name in options and told.get(name, options[name]) != options[name]
    ]


def ratio(hidden: int, width: int) -> float:
    """The float that `int(width * ratio)` makes `hidden` of."""
    found = hidden / width
    return found if int(width * found) == hidden else math.nextafter(found, math.inf)


def left_out(state: Iterable[str], used: Collection[str]) -> list[str]:
    """Notes, by first part of the key, on the tensors of a state that a layout does not use."""
    counts = Counter(re.split(r"\.\d+\.", key)[0].split(".")[0] for key in state if key not in used)
    return [f"left out: {count} tensors of `{printable(name)}`" for name, count in counts.items()]

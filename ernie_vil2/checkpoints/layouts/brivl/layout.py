"""BriVL's released file as a model of the system brivl, and back; elements are moved, and none is computed."""

import math
import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ....config.model import ModelConfig
from ....errors import CheckpointError
from ...formats.lazy_tensors import spec_of
from ...release_layout import MOMENTUM, TEMPERATURE, UNUSED
from .. import shapes
from ..any_source import Renamed
from ..layout_record import Found, Layout, Read
from ..mapping import Entry, Mapped, copied, transposed
from .names import IMAGE, PARTS, TEXT, TWIN, Row, rows
from .sizes import SYSTEM, config_of

NAME = "BriVL"
CONTAINER = "learnable"
"""The entry of the released file that holds the tensors"""
LOGIT_TEMPERATURE = 0.07
WRAPPED = re.compile(r"(\w+)\.module\.(.+)")
"""A key of a part that DataParallel wrapped"""


def fits(keys: Collection[str]) -> bool:
    """Whether most keys begin with the names of BriVL's parts, and some with that of an encoder."""
    named = Counter(key.split(".")[0] for key in keys)
    return 2 * sum(named[part] for part in PARTS) > len(keys) and bool({IMAGE, TEXT} & set(named))


def without_wrappers(state: Mapping[str, Any]) -> tuple[Mapping[str, Any], list[str]]:
    """(the state with `module.` taken off behind the name of every part whose keys all have it, notes)."""
    counts, wrapped = Counter(key.split(".")[0] for key in state), Counter()
    for key in state:
        if match := WRAPPED.fullmatch(key):
            wrapped[match[1]] += 1
    parts = [part for part in PARTS if counts[part] and wrapped[part] == counts[part]]
    if not parts:
        return state, []
    names = {key: WRAPPED.sub(r"\1.\2", key) if key.split(".")[0] in parts else key for key in state}
    note = f"the keys of {', '.join(parts)} go on with `module.`, which is taken off"
    return Renamed({name: (state, key) for key, name in names.items()}), [note]


def kept_twins(found: Found) -> bool:
    """Whether the momentum twins are there, and kept; CheckpointError where one of both is missing."""
    asked = found.settings.get("twins", True)
    if type(asked) is not bool:
        raise CheckpointError(f"the option twins is {asked!r}, but must be true or false")
    named = {key.split(".")[0] for key in found.state}
    there = [part for part in (IMAGE + TWIN, TEXT + TWIN) if part in named]
    if asked and len(there) == 1:
        raise CheckpointError(
            f"{found.path} holds the momentum twin {there[0]} and not the other one; take the file again from its "
            "source, or give -o twins=false to leave it out"
        )
    return asked and bool(there)


def read(found: Found) -> Read:
    """A Read of both encoders with their heads and, unless left out, their twins; what nothing reads is kept for the
    way back, under `unused.`."""
    state, notes = without_wrappers(found.state)
    found = replace(found, state=state)
    twins = kept_twins(found)
    config, said = config_of(found)
    kept = [part for part in PARTS if twins or not part.endswith(TWIN)]
    entries, unused, used = {"": {}, MOMENTUM: {}}, {}, set()
    for front in entries:
        wanted = {}
        for part in kept:
            if part.endswith(TWIN) != bool(front):
                continue
            for row in rows(part, config):
                key = f"{part}.{row.theirs}"
                if row.ours is not None:
                    entries[front][front + row.ours], wanted[key] = from_theirs(key, row), row.shape
                elif key in state:
                    unused[UNUSED + key] = copied(key, spec_of(state, key).shape)
        name = f"{NAME} (its twins, which -o twins=false leaves out)" if front else NAME
        shapes.check(state, wanted, found.path, name)
        used |= {*wanted, *(key.removeprefix(UNUSED) for key in unused)}
    stored = -math.log(LOGIT_TEMPERATURE)
    entries[""][TEMPERATURE] = Entry((), (1,), lambda: np.array([stored], np.float32))
    notes += [*said, f"the temperature {LOGIT_TEMPERATURE}, which the release does not store, is added"]
    if twins:
        notes.append(f"{len(entries[MOMENTUM])} tensors of the momentum twins are kept under `{MOMENTUM}`")
    notes += shapes.left_out(state, used)
    return Read(config, Mapped(state, entries[""] | entries[MOMENTUM] | unused), notes)


def from_theirs(key: str, row: Row) -> Entry:
    """The Entry of our tensor from theirs."""
    if row.how == "same":
        return copied(key, row.shape)
    if row.how == "transposed":
        return transposed(key, row.shape[::-1])
    return Entry((key,), row.shape[1::-1], lambda array: array[:, :, 0, 0].T, moves=True)


def to_theirs(key: str, row: Row) -> Entry:
    """The Entry of their tensor from ours."""
    if row.how == "same":
        return copied(key, row.shape)
    if row.how == "transposed":
        return transposed(key, row.shape)
    return Entry((key,), row.shape, lambda array: array.T[:, :, None, None], moves=True)


def write(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{key: array} of the released file, in its order and types; `notes` tell what of it the model does not hold.

    CheckpointError lists what a model of the system brivl has and the state lacks.
    """
    twins, wanted, entries, added = any(key.startswith(MOMENTUM) for key in state), {}, {}, Counter()
    for part in PARTS:
        plain, front = part.removesuffix(TWIN), MOMENTUM if twins and part.endswith(TWIN) else ""
        for row in rows(part, config):
            key = f"{part}.{row.theirs}"
            if row.ours is not None:
                entries[key] = to_theirs(front + row.ours, row)
                wanted[front + row.ours] = from_theirs(key, row).shape
                continue
            kept = [UNUSED + name for name in (key, f"{plain}.{row.theirs}") if UNUSED + name in state]
            if kept:
                entries[key] = copied(kept[0], spec_of(state, kept[0]).shape)
            else:
                entries[key] = made_up(row)
                added[next(word for word in reversed(row.theirs.split(".")) if word not in ("weight", "bias"))] += 1
    shapes.check(state, wanted, "the model", SYSTEM)
    notes = [] if twins else ["it holds no momentum twins, so they are written equal to the encoders"]
    if added:
        counts = ", ".join(f"{count} of `{name}`" for name, count in added.items())
        notes.append(f"tensors that nothing reads and the model does not hold are made up: {counts}")
    return Mapped(state, entries, notes)


def made_up(row: Row) -> Entry:
    """The Entry of a tensor that nothing reads: positions are counted, all else is 0."""
    if row.theirs.endswith("position_ids"):
        return Entry((), row.shape, lambda: np.arange(row.shape[1])[None], dtype="int64")
    dtype = "int64" if row.theirs.endswith("num_batches_tracked") else "float32"
    return Entry((), row.shape, lambda: np.zeros(row.shape), dtype=dtype)


LAYOUTS = [Layout(NAME, fits, read, write, raw=True, whole_vocabulary=True)]

"""BriVL's released file written from a model, and the check of both ways: that every tensor comes back bit for bit.

No library runs BriVL here, so nothing is compared but bits; one tensor of each side is in memory at a time.
"""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..checkpoints import model_directory
from ..checkpoints.formats.safetensors_file import open_safetensors
from ..checkpoints.formats.torch_file import open_torch
from ..checkpoints.formats.torch_writer import write_torch
from ..checkpoints.layouts import shapes
from ..checkpoints.layouts.any_source import Renamed
from ..checkpoints.layouts.brivl.layout import CONTAINER, LOGIT_TEMPERATURE, read, write
from ..checkpoints.layouts.layout_record import Found
from ..checkpoints.release_layout import MOMENTUM, TEMPERATURE
from ..config.model import ModelConfig
from ..errors import CheckpointError
from ..files.atomic import atomic_file, reported
from .brivl_configuration import told, unsaid
from .check import sentence
from .opened import Opened

COPY = "momentum.safetensors"
"""The momentum copy beside the model in a run's checkpoint"""
HOW = "{count:,} tensors come back from what was written, every bit of them equal; no library runs BriVL here"


def write_brivl(opened: Opened, target: Path, check: bool) -> list[str]:
    """Write a torch file as BriVL was released; lines about it."""
    if len(opened.config.towers()) < 2:
        raise CheckpointError(
            f"{opened.source.path} holds only the {', '.join(opened.config.towers())} tower, while BriVL's file holds "
            "both; write a model directory instead"
        )
    kind = opened.config.image_tower.kind
    if kind != "efficientnet":
        raise CheckpointError(
            f"{target}: the layout brivl has an efficientnet as its image tower, and this model a {kind}; keep the "
            "model directory"
        )
    state, notes = with_copy(opened)
    theirs = write(state, opened.config)
    notes += [*theirs.notes, *other_temperature(state), *unsaid(theirs, opened.config, target)]
    said = [f"note: {note}" for note in notes]
    with reported(target), atomic_file(target) as handle:
        write_torch(handle, theirs, CONTAINER)
        if check:
            handle.flush()
            found = read(Found(open_torch(handle.name), target, told(opened.config))).state
            keys = [key for key in found if key in state and key != TEMPERATURE]
            said.append(sentence(bits_record(state, found, keys)))
    return said


def with_copy(opened: Opened) -> tuple[Mapping[str, Any], list[str]]:
    """(the state with the momentum copy of a run's checkpoint as its twins, notes); a state with twins as it is."""
    state, path = opened.state, Path(opened.source.path) / COPY
    if any(key.startswith(MOMENTUM) for key in state) or not path.is_file():
        return state, []
    copy = open_safetensors(path)
    if any(key.endswith(".lora_a") for key in copy):
        return state, [f"{path} is of a run with low-rank updates, so no twins are taken from it"]
    places = {key: (state, key) for key in state} | {MOMENTUM + key: (copy, key) for key in copy}
    return Renamed(places), [f"the momentum twins are those of {path}"]


def other_temperature(state: Mapping[str, Any]) -> list[str]:
    """A note on a temperature that is not the one that the file means."""
    wanted = -math.log(LOGIT_TEMPERATURE)
    if TEMPERATURE not in state or math.isclose(state[TEMPERATURE].item(), wanted, rel_tol=1e-6):
        return []
    temperature = math.exp(-state[TEMPERATURE].item())
    return [f"the file stores no temperature: it means {LOGIT_TEMPERATURE}, this model has {temperature:.6g}"]


def checked_model(opened: Opened, made: Path) -> dict[str, Any]:
    """The record of writing back the model directory that was made of a released file; its network fits it too."""
    state, config, _ = model_directory.open_model(made, raw=True)
    check_network(state, config)
    used = dict.fromkeys(source for entry in opened.state.entries.values() for source in entry.sources)
    return bits_record(opened.state.source, write(state, config), used)


def check_network(state: Mapping[str, Any], config: ModelConfig) -> None:
    """CheckpointError where the network of a system would not find its tensors; it is laid out without memory."""
    import paddle

    from ..systems.registry import system_class

    with paddle.LazyGuard():
        wanted = {
            key: tuple(value.shape) for key, value in system_class(config.system).network(config).state_dict().items()
        }
    shapes.check(state, wanted, "what was written", f"of the system {config.system}")


def bits_record(wanted: Mapping[str, Any], found: Mapping[str, Any], keys: Iterable[str]) -> dict[str, Any]:
    """The JSON-able record of comparing tensors bit for bit; CheckpointError names the first that differs."""
    count = 0
    for key in keys:
        if key not in found or not same(wanted, found, key):
            raise CheckpointError(
                f"{key} does not come back from what was written as it was, so nothing is kept of it; report it, and "
                "--no-check leaves the comparison out"
            )
        count += 1
    return {"inputs": "none", "how": HOW.format(count=count)}


def same(wanted: Mapping[str, Any], found: Mapping[str, Any], key: str) -> bool:
    """Whether a tensor has the same type, shape and bits in both."""
    one, other = wanted[key], found[key]
    if (one.dtype, one.shape) != (other.dtype, other.shape):
        return False
    return memoryview(one.reshape(-1).view("u1")) == memoryview(other.reshape(-1).view("u1"))

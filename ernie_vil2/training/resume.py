"""Going on from a checkpoint: which configuration may differ, and where every piece of state goes back to."""

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from paddle import nn

from ..checkpoints.fill import fill_parameters
from ..config.load import completed
from ..config.run import RunConfig
from ..errors import CheckpointError, ConfigError
from ..files.paths.spellings import same_source
from ..schema import as_dict

FIXED = (
    "model",
    "objective",
    "lora",
    "seed",
    "data.train",
    "data.augmentation",
    "data.shuffle_window",
    "data.reduced_decode",
)
"""What the state in a checkpoint belongs to; another value would make it a different run."""
FREE = (
    "output",
    "init",
    "data.workers",
    "data.timeout",
    "data.vocab",
    "data.cache_locked",
    "data.cache_folder",
    "train.log_every",
    "train.keep",
    "train.save_minutes",
    "train.console",
)
"""What changes nothing of the training itself."""


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """{dotted key: value} of nested dictionaries; lists are values."""
    found = {}
    for key, value in mapping.items():
        name = f"{prefix}{key}"
        if isinstance(value, dict) and value and not name.startswith("data.train"):
            found.update(flat(value, name + "."))
        else:
            found[name] = value
    return found


def under(name: str, keys: tuple[str, ...]) -> bool:
    """Whether a dotted name is one of the keys or below one."""
    return any(name == key or name.startswith(key + ".") for key in keys)


def compare(config: RunConfig, saved: dict[str, Any], where: str | os.PathLike) -> list[str]:
    """Sentences on what differs from the run that wrote the checkpoint; ConfigError when its state would not fit."""
    now, then = flat(as_dict(config)), flat(completed(saved))
    different = [name for name in {**then, **now} if not same(name, now.get(name), then.get(name))]
    refused = [name for name in different if under(name, FIXED)]
    if refused:
        listed = "; ".join(f"{name} was {then.get(name)!r} and is {now.get(name)!r}" for name in refused)
        raise ConfigError(
            f"{where} belongs to another run: {listed}; give the same values again, or start a new run in another "
            "folder, with init from this checkpoint"
        )
    return [
        f"{name} was {then.get(name)!r} and is {now.get(name)!r}{consequence(name)}"
        for name in different
        if not under(name, FREE)
    ]


def changed_code(now: Mapping[str, str], then: Any, where: str | os.PathLike) -> list[str]:
    """Sentences on plugins whose code is another one than that which wrote a checkpoint; {module: digest} of both."""
    then = then if isinstance(then, dict) else {}
    changed = [name for name in now if name in then and now[name] != then[name]]
    return [
        f"the code of --plugin {name} has changed since {where} was written, so the run is no longer the same one"
        for name in changed
    ]


def check_size(now: int, then: int, where: str | os.PathLike) -> None:
    """ConfigError when the training source has another number of samples: the place in it would mean others."""
    if now != then:
        raise ConfigError(
            f"data.train has {now:,} samples, and had {then:,} when {where} was written; give the same files again, or "
            "start a new run in another folder, with init from this checkpoint"
        )


def same(name: str, now: Any, then: Any) -> bool:
    """Whether a key has the same value; sources may be spelled in two ways."""
    return plain(now) == plain(then) or name in ("data.train", "data.valid") and same_source(now, then)


def plain(value: Any) -> Any:
    """Tuples as lists, as JSON has them."""
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def consequence(name: str) -> str:
    """What a changed key means for the rest of the run."""
    return {
        "train.batch_size": ": the run goes on at the same sample, a step now takes another number of them",
        "train.micro_batch": ": dropout masks differ from those of an uninterrupted run",
        "train.steps": ": the learning rate follows the new length from here on",
    }.get(name, "")


def restore_parameters(model: nn.Layer, arrays: Mapping[str, np.ndarray], path: str | os.PathLike) -> None:
    """Set every parameter, in its own type; CheckpointError when the file holds other ones."""
    own = model.state_dict()
    wrong = fill_parameters(own, arrays)
    lacking = [key for key, found, _ in wrong if found is None]
    if lacking:
        raise CheckpointError(f"{path} lacks {', '.join(lacking[:3])} of {len(own)} tensors; it is of another model")
    if wrong:
        raise CheckpointError(f"{path} does not fit: {'; '.join(map(str, wrong[:3]))}; it is of another model")

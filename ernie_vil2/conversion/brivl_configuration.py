"""What BriVL's released file does not hold of a configuration: options that bring it back, and what has no place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from ..checkpoints.interpolate import TRAINING_ONLY, flat
from ..checkpoints.layouts.brivl.sizes import config_of
from ..checkpoints.layouts.layout_record import Found
from ..config.model import ModelConfig
from ..errors import CheckpointError
from ..schema import as_dict
from ..systems.registry import system_class

PASSED_OVER = (
    "text_tower.mlp_ratio",
    "text_tower.token_types",
    "image_tower.width_factor",
    "image_tower.depth_factor",
    "settings.grid",
)
"""Keys that shapes tell, but not always in the same words (rows of token types that are 0 add nothing), and the grid
of a model that takes boxes, as the file's does"""


def told(config: ModelConfig) -> dict[str, Any]:
    """What the file does not say of a model, as options of its layout."""
    text = config.text_tower
    own = {"heads": text.heads, "activation": text.activation, "epsilon": text.epsilon}
    return own | {"image_size": config.image_tower.image_size, "max_length": config.max_length}


def unsaid(theirs: Mapping[str, Any], config: ModelConfig, target: Path) -> list[str]:
    """Notes on what of a configuration is not in the file with the tensors `theirs`, to be written at `target`.

    CheckpointError names what changes an inference and no option of the layout brings back.
    """
    plain, options = told(config_of(Found(theirs, target))[0]), told(config)
    back = config_of(Found(theirs, target, options))[0]
    here, there = arithmetic(config), arithmetic(back)
    lost = [f"{key} ({value}, and {there[key]} when it is read)" for key, value in here.items() if there[key] != value]
    if lost:
        raise CheckpointError(
            f"{target}: the layout brivl has no place for {', '.join(lost)}, so another model would come back; "
            "keep the model directory"
        )
    needed = [f"-o {name}={written(value)}" for name, value in options.items() if plain[name] != value]
    notes = [f"the file holds no configuration: to come back give {' '.join(needed)}"] if needed else []
    here, there = training_only(config), training_only(back)
    changed = [key for key in here if here[key] != there[key]]
    if changed:
        notes.append(f"the file has no place for {', '.join(changed)}, which act in training only")
    return notes


def written(value: Any) -> str:
    """A value as YAML of any version reads it."""
    return yaml.safe_dump(value).partition("\n")[0]


def whole(config: ModelConfig) -> dict[str, Any]:
    """{"a.b": value} of a configuration, with the defaults of its settings."""
    return flat(as_dict(config) | {"settings": as_dict(system_class(config.system).settings(config))})


def training_only(config: ModelConfig) -> dict[str, Any]:
    """{"a.b": value} of what changes no inference."""
    return {key: value for key, value in whole(config).items() if key.rsplit(".", 1)[-1] in TRAINING_ONLY}


def arithmetic(config: ModelConfig) -> dict[str, Any]:
    """{"a.b": value} of what a model computes with; what can be said in several ways is what it comes to."""
    found, image = whole(config), config.image_tower
    passed_over = {*PASSED_OVER, *training_only(config)}
    found = {key: value for key, value in found.items() if key not in passed_over}
    layers = image.stem, image.width, image.stage_depths(), sorted({block.outputs for block in image.blocks()})
    return found | {"image_tower.variant": layers, "pixels.resize_to": config.pixels.resized}

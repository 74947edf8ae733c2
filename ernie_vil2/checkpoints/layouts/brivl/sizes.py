"""The configuration of a BriVL by the shapes of its tensors, and by what a user says of the rest."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ....config.model import PIXEL_PROFILES, ModelConfig
from ....config.tower_fields import EfficientNetConfig, TextTowerConfig
from ....errors import CheckpointError, ConfigError
from ....schema import as_dict
from ...formats.lazy_tensors import spec_of
from ...release_sizes import common_side, heads_of
from .. import shapes, text_tower
from ..any_source import Renamed
from ..efficientnet import recognised, timm_key
from ..hugging_face import EPSILON, NAMES
from ..layout_record import Found
from .names import BACKBONE, BERT, IMAGE, LEARNABLE, TEXT

SYSTEM = "brivl"
OPTIONS = ("heads", "image_size", "max_length", "twins", "activation", "epsilon")
HEADS = {**text_tower.HEADS, 64: 4}
"""Heads of BERT by its width; 64: of the small stand-ins"""
RELEASED = {"image_size": 380, "max_length": 80}
SETTINGS = {
    "regions": "boxes",
    "most_boxes": 36,
    "grid": 6,
    "cells": 4,
    "image_heads": 4,
    "text_heads": 4,
    "dropout": 0.1,
}
"""Settings of the system that shapes do not tell, as released"""
WIDE = 2048
"""Width of layers above the backbones that are missing"""


def config_of(found: Found) -> tuple[ModelConfig, list[str]]:
    """(ModelConfig, notes) of a state whose keys begin with the names of its parts; CheckpointError where its shapes
    and settings describe no model."""
    told, where = found.settings, found.path
    image, text = image_tower(found), text_tower_of(found)
    size = told.get("image_size", RELEASED["image_size"])
    length = told.get("max_length", min(RELEASED["max_length"], text.positions))
    content = {
        "system": SYSTEM,
        "settings": settings_of(found),
        "image_tower": as_dict(image) | {"image_size": size},
        "text_tower": as_dict(text) | {name: told[name] for name in ("activation", "epsilon", "heads") if name in told},
        "max_length": length,
        "fixed_length": True,
        "pixels": as_dict(PIXEL_PROFILES[SYSTEM]) | {"size": size},
    }
    try:
        config = ModelConfig.from_dict(content, str(where))
    except ConfigError as error:
        raise CheckpointError(
            f"{where}: its shapes and settings describe no model: {error}; options are {', '.join(OPTIONS)}"
        ) from None
    text_tower.check_epsilon(config.text_tower.epsilon, where)
    assumed = {"image_size": size, "max_length": length, "heads": config.text_tower.heads}
    assumed = [f"{name} {value}" for name, value in assumed.items() if name not in told]
    released = image.variant == "b5" and text.width in text_tower.HEADS
    notes = []
    if assumed and not released:
        notes.append(f"nothing in the file says {', '.join(assumed)}; that is assumed, -o NAME=VALUE says another")
    return config, notes


def image_tower(found: Found) -> EfficientNetConfig:
    """The EfficientNetConfig of the image encoder."""
    front = f"{IMAGE}.{BACKBONE}"
    shapes.sides(found.state, f"{front}conv_head.weight", found.path, 4)
    own = {key[len(front) :]: (found.state, key) for key in found.state if key.startswith(front)}
    config = recognised(Found(Renamed(own), found.path), timm_key)
    return replace(config, norm_momentum=0.9, norm_variance="unbiased")


def text_tower_of(found: Found) -> TextTowerConfig:
    """The TextTowerConfig of the text encoder."""
    state, where, front = found.state, found.path, f"{TEXT}.{BERT}"
    vocab_size, width = shapes.sides(state, front + text_tower.WORD, where, 2)
    block = (front + NAMES.block).format(r"(\d{1,9})").replace(".", r"\.")
    hidden = most(state, block + r"\.intermediate\.dense\.bias", 4 * width)
    return TextTowerConfig(
        vocab_size=vocab_size,
        positions=shapes.sides(state, front + text_tower.POSITION, where, 2)[0],
        token_types=shapes.sides(state, front + text_tower.TOKEN_TYPE, where, 2)[0],
        width=width,
        depth=shapes.depth(state, block + r"\.", where),
        heads=HEADS.get(width) or heads_of(width),
        mlp_ratio=shapes.ratio(hidden, width),
        epsilon=EPSILON,
    )


def settings_of(found: Found) -> dict[str, Any]:
    """All `settings` of the system: sizes of the layers above both backbones, and what is as released. What most layers
    say counts, so that one wrong tensor is reported as such."""
    state, front = found.state, rf"(?:{IMAGE}|{TEXT})\.{re.escape(LEARNABLE)}"
    sizes = {
        "embed_dim": most(state, front + r"\w+FC\.fc2\.bias", WIDE),
        "layers": shapes.depth(state, front + r"\w+Att\.layers\.(\d{1,9})\.", found.path),
        "feed_forward": most(state, front + r"\w+Att\.layers\.\d+\.linear1\.bias", WIDE),
        "hidden": most(state, front + r"\w+FC\.fc1\.bias", WIDE),
    }
    return SETTINGS | sizes


def most(state: Mapping[str, Any], pattern: str, default: int) -> int:
    """The length that most vectors of matching keys have."""
    named = {key: spec_of(state, key).shape for key in state if re.fullmatch(pattern, key)}
    return common_side(named, pattern, default)

"""Sizes of a model from the shapes of an official-layout state, where no configuration came with it."""

import dataclasses
import math
import os
import re
from collections import Counter
from collections.abc import Mapping

import numpy as np

from ..config.model import PIXEL_PROFILES, ModelConfig
from ..config.tower_fields import ImageTowerConfig, TextTowerConfig
from ..errors import CheckpointError, ConfigError
from ..messages import counted
from .formats.lazy_tensors import spec_of
from .release_layout import RELEASED_DEPTHS

MAX_DEPTH = 1000
MOST_WIDTH = 1 << 20


def infer_config(state: Mapping[str, np.ndarray], where: str | os.PathLike = "the checkpoint") -> ModelConfig:
    """The configuration that the shapes of an official-layout state speak of; what they cannot tell is as released.

    Widths are what most tensors say, so that one wrong tensor is later reported as such. Heads are of 64 columns. A
    file that lacks `norm_pre` is taken for an incomplete one: a model without it keeps its configuration in a model
    directory.
    """
    shapes = {key: spec_of(state, key).shape for key in state}
    image_width = common_side(shapes, r"visual\.(.+\.)?norm\w+\.(weight|bias)", ImageTowerConfig.width)
    text_width = common_side(shapes, r"text_model\.(.+\.)?ln\d?\.(weight|bias)", TextTowerConfig.width)
    image_hidden = common_side(shapes, r"visual\.blocks\.\d+\.mlp\.fc1\.bias", 4 * image_width)
    text_hidden = common_side(shapes, r"text_model\.encoder_stack\.block\.\d+\.ffn\.i\.bias", 4 * text_width)
    patch = side(shapes, "visual.patch_embed.proj.weight", 2, 16)
    tokens = side(shapes, "visual.positional_embedding", 1, (224 // patch) ** 2 + 1)
    positions = side(shapes, "text_model.pos_emb.weight", 0, TextTowerConfig.positions)
    size = max(1, math.isqrt(max(tokens - 1, 0))) * patch
    try:
        config = ModelConfig(
            image_tower=ImageTowerConfig(
                image_size=size,
                patch_size=patch,
                patch_bias="visual.patch_embed.proj.bias" in shapes,
                width=image_width,
                depth=blocks(shapes, "visual.blocks", where),
                heads=heads_of(image_width),
                mlp_ratio=image_hidden / image_width,
                projection=side(shapes, "visual.proj.weight", 1, 0),
            ),
            text_tower=TextTowerConfig(
                vocab_size=side(shapes, "text_model.word_emb.weight", 0, TextTowerConfig.vocab_size),
                positions=positions,
                width=text_width,
                depth=blocks(shapes, "text_model.encoder_stack.block", where),
                heads=heads_of(text_width),
                mlp_ratio=text_hidden / text_width,
                projection=side(shapes, "text_model.proj.weight", 1, 0),
            ),
            max_length=min(ModelConfig.max_length, positions),
            pixels=dataclasses.replace(PIXEL_PROFILES["official"], size=size),
        )
        return ModelConfig.from_dict(config.to_dict(), where)  # which checks every range
    except ConfigError as error:
        raise CheckpointError(f"{where}: its shapes describe no model: {error}") from None


def side(shapes: Mapping[str, tuple[int, ...]], key: str, axis: int, default: int) -> int:
    """The length of an axis of a tensor; the default where there is none."""
    shape = shapes.get(key, ())
    return shape[axis] if axis < len(shape) and shape[axis] > 0 else default


def common_side(shapes: Mapping[str, tuple[int, ...]], pattern: str, default: int) -> int:
    """The length that most vectors of matching names have; the default where there is none."""
    found = [shape[0] for key, shape in shapes.items() if len(shape) == 1 and re.fullmatch(pattern, key) and shape[0]]
    return Counter(found).most_common(1)[0][0] if found else default


def blocks(shapes: Mapping[str, tuple[int, ...]], prefix: str, where: str | os.PathLike) -> int:
    """How many blocks `prefix` numbers, 12 where there is none; CheckpointError for more than MAX_DEPTH."""
    found = [int(match[1]) for key in shapes if (match := re.match(re.escape(prefix) + r"\.(\d{1,9})\.", key))]
    depth = max(found, default=11) + 1
    if depth > MAX_DEPTH:
        raise CheckpointError(
            f"{where}: names a block {prefix}.{depth - 1}, but a tower has at most {MAX_DEPTH}; "
            "take the file again from its source"
        )
    return depth


def heads_of(width: int) -> int:
    """Heads of 64 columns, or of as few more as divide the width."""
    if width > MOST_WIDTH:
        return 1  # no model has such a width, and it may have no divisor for long
    return next(heads for heads in range(max(1, width // 64), 0, -1) if width % heads == 0)


def assumptions(config: ModelConfig) -> list[str]:
    """Notes on what `infer_config` cannot know, for towers of a width that was never released."""
    return [
        f"the width {tower.width} of the {name} tower was never released: {counted(tower.heads, 'head')}, "
        f"{tower.activation} and epsilon {tower.epsilon} are assumed, give its configuration if they differ"
        for name, tower in config.towers().items()
        if tower.width not in RELEASED_DEPTHS
    ]

"""PaddleNLP's ErnieViLModel, both towers or one of them, to ours and back; no number is changed on the way."""

import math
import os
import re
from collections.abc import Callable, Collection, Mapping
from typing import Any

import numpy as np

from ...config.model import PIXEL_PROFILES, ModelConfig
from ...config.tower_fields import ImageTowerConfig
from ...errors import CheckpointError
from .. import release_layout
from ..release_layout import TEMPERATURE
from ..release_sizes import heads_of
from . import shapes, vit_parts
from .ernie import EPSILON, NAMES, epsilon_note
from .layout_record import Found, Layout, Read
from .mapping import Entry, Mapped, copied, reshaped, stacked
from .pixels import profile_of
from .text_export import entries_back, settings_back
from .text_tower import ACTIVATIONS, model_config, read_tower, tokenizer_notes

NAME = "PaddleNLP ErnieViL"
TEXT, IMAGE = "text_model.", "vision_model."
PATCHES, POSITIONS, TOKEN = "conv1.weight", "positional_embedding.weight", "class_embedding"
BLOCK = "transformer.layers.{}"
PLAIN = {"mlp.fc1": "linear1", "mlp.fc2": "linear2", "attn.proj": "self_attn.out_proj"}
PARTS = ("q", "k", "v")
OTHERS = re.compile(
    r"(vision|text)_projection|logit_scale|vision_model\.(embeddings|encoder)\.|text_model\.final_layer"
)
"""Keys of CLIP models, whose towers have some names in common with these."""


def fits(keys: Collection[str]) -> bool:
    """Whether most keys are those of an ErnieViLModel, or of one of its towers."""
    return release_layout.recognise(keys) == "paddlenlp" and not any(OTHERS.match(key) for key in keys)


def read(found: Found) -> Read:
    """A Read of the towers that there are; with both, also of the temperature."""
    state, prefix = found.state, "ernie_vil." if any(key.startswith("ernie_vil.") for key in found.state) else ""
    entries, used, notes, more, text = {}, set(), [], {}, None
    if any(key.startswith(prefix + IMAGE) for key in state):
        settings = vit_parts.section(found.settings, "vision_config") or found.settings
        image, entries = read_image(found, prefix + IMAGE, settings)
        used = {key for entry in entries.values() for key in entry.sources}
        if "num_attention_heads" not in settings:
            notes.append(f"no config.json says the heads of the image tower: {image.heads}, of 64 columns")
        pixels, said = profile_of(found.pixels, image.image_size, PIXEL_PROFILES["bicubic"])
        notes += said
        more = {"image": image, "pixels": pixels}
    if any(key.startswith(prefix + TEXT) for key in state):
        settings = vit_parts.section(found.settings, "text_config") or found.settings
        text = read_tower(found, NAMES, prefix + TEXT, settings, EPSILON)
        entries, used = entries | text.entries, used | text.used
        notes += [*text.notes, *epsilon_note(settings), *tokenizer_notes(found)]
    if text is not None and more:
        shapes.check(state, {prefix + "temperature": (1,)}, found.path, NAME)
        entries[TEMPERATURE] = copied(prefix + "temperature", (1,))
    used.add(prefix + "temperature")
    config = model_config(found, text and text.config, **more, tokenizer="paddlenlp" if text else "bert")
    entries = {key: entries[key] for key in release_layout.manifest(config)}
    return Read(config, Mapped(state, entries), notes + shapes.left_out(state, used))


def read_image(found: Found, prefix: str, settings: Mapping[str, Any]) -> tuple[ImageTowerConfig, dict[str, Entry]]:
    """(ImageTowerConfig, {our key: Entry}) of the image tower."""
    state, where = found.state, found.path
    width, _, patch, _ = shapes.sides(state, prefix + PATCHES, where, 4)
    tokens = shapes.sides(state, prefix + POSITIONS, where, 2)[0]
    depth = shapes.depth(state, re.escape(prefix) + r"transformer\.layers\.(\d{1,9})\.", where)
    hidden = shapes.sides(state, f"{prefix}{BLOCK.format(0)}.linear1.weight", where, 2)[1]
    stated = {
        "hidden_size": width,
        "num_hidden_layers": depth,
        "intermediate_size": hidden,
        "patch_size": patch,
        "image_size": math.isqrt(tokens - 1) * patch,
    }
    shapes.compare_sizes(settings, stated, where)
    activation = settings.get("hidden_act", "quick_gelu")
    if type(activation) is not str or activation not in ACTIVATIONS:
        raise CheckpointError(f"{where}: no image tower has the activation {activation!r}; take another model")
    tower = ImageTowerConfig(
        image_size=stated["image_size"],
        patch_size=patch,
        width=width,
        depth=depth,
        heads=settings.get("num_attention_heads") or heads_of(width),
        mlp_ratio=shapes.ratio(hidden, width),
        activation=ACTIVATIONS[activation],
        epsilon=settings.get("layer_norm_eps", ImageTowerConfig.epsilon),
    )
    return tower, image_entries(tower, state, prefix, where)


def image_entries(
    tower: ImageTowerConfig, state: Mapping[str, Any], prefix: str, where: str | os.PathLike
) -> dict[str, Entry]:
    """{our key: Entry} of the image tower, after comparing all shapes."""
    width, hidden, patch = tower.width, int(tower.width * tower.mlp_ratio), tower.patch_size
    tokens = (tower.image_size // patch) ** 2 + 1
    entries = {
        "visual.class_embedding": reshaped(prefix + TOKEN, (1, 1, width)),
        "visual.positional_embedding": reshaped(prefix + POSITIONS, (1, tokens, width)),
        "visual.patch_embed.proj.weight": copied(prefix + PATCHES, (width, 3, patch, patch)),
    }
    wanted = {prefix + TOKEN: (width,), prefix + POSITIONS: (tokens, width), prefix + PATCHES: (width, 3, patch, patch)}

    def both(ours, theirs, weight):
        for part, shape in (("weight", weight), ("bias", weight[-1:])):
            entries[f"visual.{ours}.{part}"] = copied(f"{prefix}{theirs}.{part}", shape)
            wanted[f"{prefix}{theirs}.{part}"] = shape

    both("norm_pre", "ln_pre", (width,))
    for index in range(tower.depth):
        ours, theirs = f"blocks.{index}", BLOCK.format(index)
        for name in ("norm1", "norm2"):
            both(f"{ours}.{name}", f"{theirs}.{name}", (width,))
        for name, there in PLAIN.items():
            both(f"{ours}.{name}", f"{theirs}.{there}", sizes_of(name, width, hidden))
        for part, shape in (("weight", (width, width)), ("bias", (width,))):
            keys = [f"{prefix}{theirs}.self_attn.{name}_proj.{part}" for name in PARTS]
            wanted |= dict.fromkeys(keys, shape)
            entries[f"visual.{ours}.attn.qkv.{part}"] = stacked(keys, (*shape[:-1], 3 * width))
    both("norm_post", "ln_post", (width,))
    shapes.check(state, wanted, where, NAME)
    return entries


def sizes_of(name: str, width: int, hidden: int) -> tuple[int, int]:
    return {"mlp.fc1": (width, hidden), "mlp.fc2": (hidden, width)}.get(name, (width, width))


def write(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{key: array} of an ErnieViLModel; CheckpointError for towers that it does not have."""
    image, text = config.image_tower, config.text_tower
    if image is None or text is None:
        raise CheckpointError(f"the layout {NAME} holds both towers, but this model has only one of them")
    reasons = (
        [f"of kind {image.kind}"]
        if image.kind != "vit"
        else [
            what
            for what, there in (
                ("with a projection", image.projection),
                ("with a bias of its patches", image.patch_bias),
                ("without a norm before its blocks", not image.pre_norm),
            )
            if there
        ]
    )
    if reasons:
        raise CheckpointError(
            f"the layout {NAME} has no image tower {' and '.join(reasons)}; write a model directory instead"
        )
    return Mapped(state, {"temperature": copied(TEMPERATURE, (1,))} | entries_back(text, NAMES, TEXT) | back(image))


def back(tower: ImageTowerConfig) -> dict[str, Entry]:
    """{their key: Entry} of the image tower."""
    width, hidden, patch = tower.width, int(tower.width * tower.mlp_ratio), tower.patch_size
    entries = {
        IMAGE + TOKEN: reshaped("visual.class_embedding", (width,)),
        IMAGE + PATCHES: copied("visual.patch_embed.proj.weight", (width, 3, patch, patch)),
        IMAGE + POSITIONS: reshaped("visual.positional_embedding", ((tower.image_size // patch) ** 2 + 1, width)),
    }

    def both(theirs, ours, weight):
        for part, shape in (("weight", weight), ("bias", weight[-1:])):
            entries[f"{IMAGE}{theirs}.{part}"] = copied(f"visual.{ours}.{part}", shape)

    both("ln_pre", "norm_pre", (width,))
    for index in range(tower.depth):
        ours, theirs = f"blocks.{index}", BLOCK.format(index)
        for name in ("norm1", "norm2"):
            both(f"{theirs}.{name}", f"{ours}.{name}", (width,))
        for name, there in PLAIN.items():
            both(f"{theirs}.{there}", f"{ours}.{name}", sizes_of(name, width, hidden))
        for place, name in enumerate(PARTS):
            for part, shape in (("weight", (width, width)), ("bias", (width,))):
                entries[f"{IMAGE}{theirs}.self_attn.{name}_proj.{part}"] = Entry(
                    (f"visual.{ours}.attn.qkv.{part}",), shape, third(place)
                )
    both("ln_post", "norm_post", (width,))
    return entries


def third(place: int) -> Callable[[np.ndarray], np.ndarray]:
    """Function that takes one of three equal parts of an array's last axis."""
    return lambda array: np.split(array, 3, axis=-1)[place]


def settings(config: ModelConfig) -> dict[str, Any]:
    """What its config.json says."""
    image = config.image_tower
    vision = {
        "model_type": "ernie_vil_vision_model",
        "hidden_size": image.width,
        "num_hidden_layers": image.depth,
        "intermediate_size": int(image.width * image.mlp_ratio),
        "num_attention_heads": image.heads,
        "num_channels": 3,
        "image_size": image.image_size,
        "patch_size": image.patch_size,
        "hidden_act": image.activation,
        "layer_norm_eps": image.epsilon,
    }
    text = settings_back(config.text_tower) | {"model_type": "ernie_vil_text_model", "type_vocab_size": 0}
    return {"architectures": ["ErnieViLModel"], "model_type": "ernie_vil", "text_config": text, "vision_config": vision}


LAYOUTS = [Layout(NAME, fits, read, write, settings)]

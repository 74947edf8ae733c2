"""Vision transformers of CLIP in torch: OpenAI's, open_clip's and Chinese-CLIP's, which share their keys, and those of
transformers (CLIPVisionModel, CLIPModel, ChineseCLIPModel).

The keys do not tell the activation. OpenAI and Chinese-CLIP use quick GELU; open_clip's own models use GELU unless
their name ends in -quickgelu, which open_clip_config.json tells, or the option `activation`.
"""

import os
import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from ...config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ...config.tower_fields import ImageTowerConfig
from ...errors import CheckpointError
from ...schema import as_dict
from . import shapes
from .layout_record import Found, Layout, Read
from .mapping import Entry, Mapped
from .pixels import profile_of
from .vit_parts import PUBLISHED_HEADS, Part, changed, pair, renamed, section, sizes, tower_read, vit_of, written

NAME = "OpenAI CLIP"
RESBLOCKS = "transformer.resblocks."
TORCH = {
    "class_embedding": Part(("class_embedding",), "flat"),
    "positional_embedding": Part(("positional_embedding",), "flat"),
    "patch_embed.proj.weight": Part(("conv1.weight",)),
    **pair("norm_pre", "ln_pre"),
    **pair("blocks.#.norm1", f"{RESBLOCKS}#.ln_1"),
    "blocks.#.attn.qkv.weight": Part((f"{RESBLOCKS}#.attn.in_proj_weight",), "transposed"),
    "blocks.#.attn.qkv.bias": Part((f"{RESBLOCKS}#.attn.in_proj_bias",)),
    **pair("blocks.#.attn.proj", f"{RESBLOCKS}#.attn.out_proj", how="transposed"),
    **pair("blocks.#.norm2", f"{RESBLOCKS}#.ln_2"),
    **pair("blocks.#.mlp.fc1", f"{RESBLOCKS}#.mlp.c_fc", how="transposed"),
    **pair("blocks.#.mlp.fc2", f"{RESBLOCKS}#.mlp.c_proj", how="transposed"),
    **pair("norm_post", "ln_post"),
    "proj.weight": Part(("proj",)),
}
FLASH = TORCH | pair("blocks.#.attn.qkv", f"{RESBLOCKS}#.attn.Wqkv", how="transposed")
"""what Chinese-CLIP saves when it was trained with FlashAttention"""
LAYER = "vision_model.encoder.layers.#"
TRANSFORMERS = {
    "class_embedding": Part(("vision_model.embeddings.class_embedding",), "flat"),
    "positional_embedding": Part(("vision_model.embeddings.position_embedding.weight",), "flat"),
    "patch_embed.proj.weight": Part(("vision_model.embeddings.patch_embedding.weight",)),
    **pair("norm_pre", "vision_model.pre_layrnorm"),
    **pair("blocks.#.norm1", f"{LAYER}.layer_norm1"),
    **pair("blocks.#.attn.qkv", *(f"{LAYER}.self_attn.{name}_proj" for name in "qkv"), how="transposed"),
    **pair("blocks.#.attn.proj", f"{LAYER}.self_attn.out_proj", how="transposed"),
    **pair("blocks.#.norm2", f"{LAYER}.layer_norm2"),
    **pair("blocks.#.mlp.fc1", f"{LAYER}.mlp.fc1", how="transposed"),
    **pair("blocks.#.mlp.fc2", f"{LAYER}.mlp.fc2", how="transposed"),
    **pair("norm_post", "vision_model.post_layernorm"),
    "proj.weight": Part(("visual_projection.weight",), "transposed"),
}
ONE_VALUE = {"pool_type": "tok", "attentional_pool": False, "act_kwargs": None, "timm_model_name": None}
"""settings of open_clip's vision_cfg that this image tower has one value of"""


def prefix_of(keys: Collection[str]) -> str | None:
    """What stands before the image tower's keys: `visual.`, nothing for a tower alone, or None for another layout."""
    if any(key.startswith("visual." + RESBLOCKS) for key in keys):
        return "visual."
    return "" if "class_embedding" in keys and any(key.startswith(RESBLOCKS) for key in keys) else None


def fits(keys: Collection[str]) -> bool:
    """Whether keys are those of OpenAI CLIP, open_clip or Chinese-CLIP with a vision transformer."""
    return prefix_of(set(keys)) is not None


def fits_transformers(keys: Collection[str]) -> bool:
    """Whether keys are those of a CLIP in transformers."""
    return any(key.startswith("vision_model.encoder.layers.") for key in keys)


def told_by(settings: Mapping[str, Any], where: str | os.PathLike) -> dict[str, Any]:
    """{field of ImageTowerConfig: value} and maybe `head_width`, as far as a configuration of open_clip, Chinese-CLIP
    or transformers tells them; CheckpointError for what the image tower here does not have."""
    vision = section(settings, "vision_cfg")
    if vision:
        for name, value in ONE_VALUE.items():
            if vision.get(name, value) != value:
                raise CheckpointError(
                    f"{where}: its vision_cfg sets {name} to {vision[name]!r}, which the image tower here does not "
                    f"have; convert a model with {name} {value!r}"
                )
        fields = {
            "depth": vision.get("layers"),
            "head_width": vision.get("head_width"),
            "epsilon": section(vision, "norm_kwargs").get("eps"),
            "pre_norm": not vision.get("no_ln_pre", False),
            "activation": "quick_gelu" if settings.get("quick_gelu") else "gelu",
        }
    elif "vision_layers" in settings:
        fields = {
            "depth": settings["vision_layers"],
            "head_width": settings.get("vision_head_width"),
            "activation": "quick_gelu",
        }
    else:
        vision = section(settings, "vision_config") or settings
        fields = {
            "depth": vision.get("num_hidden_layers"),
            "heads": vision.get("num_attention_heads"),
            "epsilon": vision.get("layer_norm_eps"),
            "activation": vision.get("hidden_act"),
        }
    return {name: value for name, value in fields.items() if value is not None}


def tower_of(
    found: Found, table: Mapping[str, Part], prefix: str, ignored: Sequence[str] = (), quick: bool = False
) -> tuple[dict[str, Entry], dict[str, Any], list[str]]:
    """(entries, fields of ImageTowerConfig, notes) of an image tower by its shapes and settings; quick: whether it is
    known to use quick GELU."""
    settings = section(found.settings, "model_cfg") or found.settings
    told = told_by(settings, found.path)
    entries = renamed(found.state, table, prefix, ignored)
    fields = sizes(entries, found.path, told.get("depth")) | {"epsilon": 1e-5, "activation": "quick_gelu"}
    if head_width := told.pop("head_width", None):
        told["heads"] = fields["width"] // head_width if type(head_width) is int else head_width
    notes = shapes.overruled(found.settings, told)
    if "heads" not in told and "heads" not in found.settings:
        width = fields["width"]
        reason = f"as published for width {width}" if width in PUBLISHED_HEADS else "of 64 columns"
        notes.append(f"no settings say the heads of the image tower: {fields['heads']}, {reason}")
    if not quick and "activation" not in told and "activation" not in found.settings:
        notes.append(
            "quick_gelu is assumed, as in the models of OpenAI and Chinese-CLIP; the keys do not tell, so give the "
            "activation gelu for a model of open_clip whose name does not end in -quickgelu"
        )
    return entries, fields | {"pre_norm": True} | told, notes


def read(found: Found) -> Read:
    """The image tower of a CLIP in torch keys, with its projection; see `vit_parts.tower_read` for settings."""
    keys = set(found.state)
    prefix = prefix_of(keys)
    table = FLASH if any(".attn.Wqkv." in key for key in keys if key.startswith(prefix)) else TORCH
    chinese = any(key.startswith("bert.") for key in keys) or "vision_layers" in found.settings
    entries, fields, notes = tower_of(found, table, prefix, quick=chinese)
    if not chinese and not prefix and "pixels" not in found.settings:
        notes.append("the pixels of OpenAI's CLIP are assumed; give the pixels chinese_clip for Chinese-CLIP's tower")
    preset = PIXEL_PROFILES["chinese_clip" if chinese else "clip"]
    pixels = open_clip_pixels(section(found.settings, "preprocess_cfg"), preset, found.path)
    notes = [*left_out(key for key in keys if not key.startswith(prefix)), *notes]
    return tower_read(found, entries, fields, pixels, notes)


def read_transformers(found: Found) -> Read:
    """The image tower of CLIPModel, CLIPVisionModel or ChineseCLIPModel of transformers, with its projection."""
    own, chinese_text = r"(vision_model|visual_projection)\.", "text_model.encoder.layer."
    chinese = any(key.startswith(chinese_text) for key in found.state) or "chinese" in str(
        found.settings.get("model_type")
    )
    entries, fields, notes = tower_of(found, TRANSFORMERS, "", (rf"(?!{own}).+", r".+\.position_ids"))
    # Its processor cuts at the floor, where torchvision rounds.
    preset = PIXEL_PROFILES["chinese_clip"] if chinese else changed(PIXEL_PROFILES["clip"], {"resize": "short_side"})
    pixels, said = profile_of(found.pixels, fields["image_size"], preset)
    notes = [*left_out(key for key in found.state if not re.match(own, key)), *notes, *said]
    return tower_read(found, entries, fields, pixels, notes)


def left_out(keys: Iterable[str]) -> list[str]:
    """A note on the tensors that are not the image tower's, or none."""
    names = sorted(keys)
    parts = sorted({name.split(".")[0] for name in names})
    return [f"the text half is left out: {', '.join(parts)} ({len(names)} in all)"] if names else []


def open_clip_pixels(told: Mapping[str, Any], preset: PixelProfile, where: str | os.PathLike) -> PixelProfile:
    """The preset as changed by the `preprocess_cfg` of open_clip_config.json."""
    rules = {"shortest": "torchvision", "squash": "square"}
    filters = {"bicubic": "bicubic", "bilinear": "linear", "random": "bicubic"}
    rule, method = str(told.get("resize_mode", "shortest")), str(told.get("interpolation", "bicubic"))
    if rule not in rules or method not in filters:
        raise CheckpointError(
            f"{where}: no pixel profile here is open_clip's resize_mode {rule} with {method}; give pixels as an option"
        )
    changes = {key: told[key] for key in ("mean", "std") if key in told}
    changes |= {"resize": rules[rule]} if "resize_mode" in told else {}
    changes |= {"interpolation": filters[method]} if "interpolation" in told else {}
    return changed(preset, changes)


def write(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{OpenAI's key: array} of the image tower. What the keys do not tell is in `settings`."""
    return without_patch_bias(state, vit_of(config, NAME), TORCH, "visual.")


def without_patch_bias(
    state: Mapping[str, Any], tower: ImageTowerConfig, table: Mapping[str, Part], prefix: str = ""
) -> Mapped:
    """{their key: array}: a bias of the patches, which has no place there, is added to the positions of the patches,
    which is the same."""
    made = written(state, replace(tower, patch_bias=False), table, prefix)
    if tower.patch_bias:
        sources = ("visual.positional_embedding", "visual.patch_embed.proj.bias")
        name = prefix + table["positional_embedding"].names[0]
        made.entries[name] = Entry(sources, made.entries[name].shape, with_bias)
    return made


def with_bias(positions: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Positions [1, N, W] as [N, W], with the bias added to all but the class token's."""
    return np.concatenate([positions[0, :1], positions[0, 1:] + bias])


def settings(config: ModelConfig) -> dict[str, Any]:
    """The open_clip_config.json of the tower; `pixels` in it is the profile here, since open_clip has not every one."""
    tower, pixels = vit_of(config, NAME), config.pixels
    if tower.activation not in ("quick_gelu", "gelu"):
        raise CheckpointError(f"the layout {NAME} has no {tower.activation}; write a model directory instead")
    vision = {
        "image_size": tower.image_size,
        "layers": tower.depth,
        "width": tower.width,
        "mlp_ratio": tower.mlp_ratio,
        "head_width": tower.width // tower.heads,
        "patch_size": tower.patch_size,
        "no_ln_pre": not tower.pre_norm,
        "norm_kwargs": {"eps": tower.epsilon},
    }
    preprocess = {
        "size": pixels.size,
        "mode": "RGB",
        "mean": list(pixels.mean),
        "std": list(pixels.std),
        "interpolation": "bicubic" if pixels.interpolation == "bicubic" else "bilinear",
        "resize_mode": "squash" if pixels.resize == "square" else "shortest",
    }
    model = {"embed_dim": tower.embed_dim(), "quick_gelu": tower.activation == "quick_gelu", "vision_cfg": vision}
    return {"model_cfg": model, "preprocess_cfg": preprocess, "pixels": as_dict(pixels)}


LAYOUTS = [
    Layout(NAME, fits, read, write, settings),
    Layout("Hugging Face CLIP", fits_transformers, read_transformers),
]

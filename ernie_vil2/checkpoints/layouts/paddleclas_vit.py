"""Vision transformers of PaddleClas: `ViT_*`, and `CLIP_vit_*`, whose weights are OpenAI's."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from ...config.model import PIXEL_PROFILES, ModelConfig
from ...errors import CheckpointError
from ..formats.lazy_tensors import spec_of
from .layout_record import Found, Layout, Read
from .mapping import Entry, Mapped
from .vit_parts import Part, pair, renamed, sizes, tower_read, vit_of, written

NAME, CLIP_NAME = "PaddleClas ViT", "PaddleClas CLIP ViT"
COMMON = {
    "class_embedding": Part(("cls_token",)),
    "positional_embedding": Part(("pos_embed",)),
    "patch_embed.proj.weight": Part(("patch_embed.proj.weight",)),
    **pair("blocks.#.norm1", "blocks.#.norm1"),
    **pair("blocks.#.attn.qkv", "blocks.#.attn.qkv"),
    **pair("blocks.#.attn.proj", "blocks.#.attn.proj"),
    **pair("blocks.#.norm2", "blocks.#.norm2"),
    **pair("blocks.#.mlp.fc1", "blocks.#.mlp.fc1"),
    **pair("blocks.#.mlp.fc2", "blocks.#.mlp.fc2"),
    **pair("norm_post", "norm"),
}
VIT = COMMON | {"patch_embed.proj.bias": Part(("patch_embed.proj.bias",))}
CLIP_VIT = COMMON | pair("norm_pre", "ln_pre") | {"proj.weight": Part(("proj",))}
SMALL = {"width": 768, "depth": 8, "mlp_ratio": 3.0}
"""sizes of ViT_small_patch16_224: 8 heads, no bias of query, key and value, and a scale of 768^-0.5 for all heads"""


def is_vit(keys: set[str]) -> bool:
    return bool({"cls_token", "pos_embed"} & keys) and any(
        key.startswith("blocks.") and ".attn.qkv." in key for key in keys
    )


def fits(keys: Collection[str]) -> bool:
    """Whether keys are those of a `ViT_*` of PaddleClas."""
    keys = set(keys)
    return is_vit(keys) and not any(key.startswith("ln_pre.") for key in keys)


def fits_clip(keys: Collection[str]) -> bool:
    """Whether keys are those of a `CLIP_vit_*` of PaddleClas."""
    keys = set(keys)
    return is_vit(keys) and any(key.startswith("ln_pre.") for key in keys)


def read(found: Found) -> Read:
    """The image tower of a `ViT_*`, without its classifier; see `vit_parts.tower_read` for settings."""
    entries = renamed(found.state, VIT, "", (r"head\..+",))
    refuse_torch(found, entries)
    fields = sizes(entries, found.path) | {"activation": "gelu", "epsilon": 1e-6, "patch_bias": True}
    notes = head_note(found.state)
    if not any(key.endswith(".attn.qkv.bias") for key in entries):
        fields["epsilon"] = 1e-5
        scale = 1.0
        if all(fields[key] == value for key, value in SMALL.items()):
            fields["heads"], scale = 8, (96 / 768) ** 0.5
            notes.append(
                "it has the sizes of ViT_small_patch16_224, so 8 heads are assumed, and its scale of attention "
                "(768^-0.5) is put into the weights of the query"
            )
        entries |= without_bias(entries, fields["width"], fields["depth"], scale)
    return tower_read(found, entries, fields, PIXEL_PROFILES["paddleclas_vit"], notes)


def without_bias(entries: Mapping[str, Entry], width: int, depth: int, scale: float) -> dict[str, Entry]:
    """Entries of query, key and value for blocks that have no bias there, the query times `scale`."""

    def scaled(array):
        return array * np.repeat(np.float32([scale, 1.0, 1.0]), width)

    made = {}
    for index in range(depth):
        key = f"visual.blocks.{index}.attn.qkv"
        found = entries.get(f"{key}.weight")
        if found is not None:
            made[f"{key}.bias"] = Entry((), (3 * width,), lambda: np.zeros(3 * width, np.float32))
            if scale != 1.0:
                made[f"{key}.weight"] = Entry(found.sources, found.shape, scaled)
    return made


def read_clip(found: Found) -> Read:
    """The image tower of a `CLIP_vit_*` with its projection, without a classifier; settings as in `read`."""
    entries = renamed(found.state, CLIP_VIT, "", (r"head\..+",))
    fields = sizes(entries, found.path) | {"activation": "quick_gelu", "epsilon": 1e-5}
    notes = head_note(found.state)
    if "activation" not in found.settings:
        notes.append(
            "quick_gelu is taken, as OpenAI trained these weights and PaddleClas up to 2.5 runs them; PaddleClas 2.6 "
            "runs gelu, so give the activation gelu for weights that were trained with it"
        )
    if notes and "pixels" not in found.settings:
        notes.append(
            "the pixels are those of OpenAI's CLIP; give the pixels paddleclas_clip for weights that were fine-tuned "
            "in PaddleClas with its 256 -> 224 pixels"
        )
    return tower_read(found, entries, fields, PIXEL_PROFILES["clip"], notes)


def head_note(state: Iterable[str]) -> list[str]:
    heads = [key for key in state if key.startswith("head.")]
    return [f"its classifier is left out ({', '.join(heads)})"] if heads else []


def refuse_torch(found: Found, entries: Mapping[str, Entry]) -> None:
    """CheckpointError for timm's vision transformers, whose keys are these and whose Linear weights are [out, in]."""
    for key, entry in entries.items():
        if key.endswith(".attn.qkv.weight") and len(entry.shape) == 2 and entry.shape[0] == 3 * entry.shape[1]:
            shape = list(spec_of(found.state, entry.sources[0]).shape)
            raise CheckpointError(
                f"{found.path}: {entry.sources[0]} is {shape}, so these are timm's weights, not PaddleClas's; "
                "convert a PaddleClas ViT_*, or a CLIP in torch keys"
            )


def write(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{PaddleClas's key: array} of an image tower without pre-norm and projection, as
    `VisionTransformer(qkv_bias=True, epsilon=1e-6)` there takes it."""
    tower = vit_of(config, NAME)
    made = written(state, tower, VIT)
    if not tower.patch_bias:
        made.entries["patch_embed.proj.bias"] = Entry((), (tower.width,), lambda: np.zeros(tower.width, np.float32))
    return made


def write_clip(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{PaddleClas's key: array} of an image tower with pre-norm, as its `CLIP_vit_*` take it."""
    return written(state, vit_of(config, CLIP_NAME), CLIP_VIT)


LAYOUTS = [Layout(NAME, fits, read, write), Layout(CLIP_NAME, fits_clip, read_clip, write_clip)]

"""Vision transformers of CLIP in torch: OpenAI's, open_clip's and Chinese-CLIP's, which share their keys, and those of
transformers (CLIPVisionModel, CLIPModel, ChineseCLIPModel).

The keys do not tell the activation. OpenAI and Chinese-CLIP use quick GELU; open_clip's own models use GELU unless
their name ends in -quickgelu, which open_clip_config.json tells, or the option `activation`.
"""

import re

from ...errors import CheckpointError
from ...model_config import PIXEL_PROFILES
from .layouts import Layout
from .vit_parts import Part, changed, pair, renamed, section, sizes, tower_read, vit_of, written

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
OTHER_POOLING = {"pool_type": "tok", "attentional_pool": False, "act_kwargs": None, "timm_model_name": None}
"""settings of open_clip's vision_cfg that this image tower has one value of"""


def prefix_of(keys):
    """What stands before the image tower's keys: `visual.`, nothing for a tower alone, or None for another layout."""
    if any(key.startswith("visual." + RESBLOCKS) for key in keys):
        return "visual."
    return "" if "class_embedding" in keys and any(key.startswith(RESBLOCKS) for key in keys) else None


def fits(keys):
    """Whether keys are those of OpenAI CLIP, open_clip or Chinese-CLIP with a vision transformer."""
    return prefix_of(set(keys)) is not None


def fits_transformers(keys):
    """Whether keys are those of a CLIP in transformers."""
    return any(key.startswith("vision_model.encoder.layers.") for key in keys)


def read(found):
    """The image tower of a CLIP in torch keys, with its projection; see `vit_parts.tower_read` for settings."""
    keys = set(found.state)
    prefix = prefix_of(keys)
    table = FLASH if any(".attn.Wqkv." in key for key in keys if key.startswith(prefix)) else TORCH
    settings = section(found.settings, "model_cfg") or found.settings
    vision = section(settings, "vision_cfg")
    for name, value in OTHER_POOLING.items():
        if vision.get(name, value) != value:
            raise CheckpointError(
                f"{found.path}: its vision_cfg sets {name} to {vision[name]!r}, which the image tower here does not "
                f"have; convert a model with {name} {value!r}"
            )
    entries = renamed(found.state, table, prefix)
    fields = sizes(entries, found.path, vision.get("layers") or settings.get("vision_layers"))
    fields["pre_norm"] = not vision.get("no_ln_pre", False)
    fields["epsilon"] = section(vision, "norm_kwargs").get("eps", 1e-5)
    head_width = vision.get("head_width") or settings.get("vision_head_width")
    if head_width:
        fields["heads"] = max(1, fields["width"] // head_width)
    chinese = any(key.startswith("bert.") for key in keys) or "vision_layers" in settings
    fields["activation"] = "gelu" if "vision_cfg" in settings and not settings.get("quick_gelu") else "quick_gelu"
    notes = left_out(key for key in keys if not key.startswith(prefix))
    if not chinese and "vision_cfg" not in settings and "activation" not in found.settings:
        notes.append(
            "quick_gelu is assumed, as in OpenAI's models; the keys do not tell, so give the activation gelu for a "
            "model of open_clip whose name does not end in -quickgelu"
        )
    if not chinese and not prefix and "pixels" not in found.settings:
        notes.append("the pixels of OpenAI's CLIP are assumed; give the pixels chinese_clip for Chinese-CLIP's tower")
    preset = PIXEL_PROFILES["chinese_clip" if chinese else "clip"]
    pixels = open_clip_pixels(section(found.settings, "preprocess_cfg"), preset, found.path)
    return tower_read(found, entries, fields, pixels, notes)


def read_transformers(found):
    """The image tower of CLIPModel, CLIPVisionModel or ChineseCLIPModel of transformers, with its projection."""
    settings = section(found.settings, "vision_config") or found.settings
    chinese = "chinese" in found.settings.get("model_type", "") or any(
        key.startswith("text_model.encoder.layer.") for key in found.state
    )
    state = {key for key in found.state if not re.match(r"(vision_model|visual_projection)\.", key)}
    entries = renamed(found.state, TRANSFORMERS, "", (r"(?!vision_model\.|visual_projection\.).+", r".+\.position_ids"))
    fields = sizes(entries, found.path, settings.get("num_hidden_layers"))
    fields["pre_norm"] = True
    fields["epsilon"] = settings.get("layer_norm_eps", 1e-5)
    fields["heads"] = settings.get("num_attention_heads", fields["heads"])
    fields["activation"] = settings.get("hidden_act", "quick_gelu")
    notes = left_out(state)
    if "hidden_act" not in settings and "activation" not in found.settings:
        notes.append("quick_gelu is assumed, as in OpenAI's models; the config.json beside the weights would tell")
    # Its processor cuts at the floor, where torchvision rounds.
    pixels = PIXEL_PROFILES["chinese_clip"] if chinese else changed(PIXEL_PROFILES["clip"], {"resize": "short_side"})
    return tower_read(found, entries, fields, pixels, notes)


def left_out(keys):
    """A note on the tensors that are not the image tower's, or none."""
    names = sorted(keys)
    parts = sorted({name.split(".")[0] for name in names})
    return [f"{len(names)} tensors of the text half are left out ({', '.join(parts)})"] if names else []


def open_clip_pixels(told, preset, where):
    """The preset as changed by the `preprocess_cfg` of open_clip_config.json."""
    rules = {"shortest": "torchvision", "squash": "square"}
    filters = {"bicubic": "bicubic", "bilinear": "linear", "random": "bicubic"}
    rule, method = told.get("resize_mode", "shortest"), told.get("interpolation", "bicubic")
    if rule not in rules or method not in filters:
        raise CheckpointError(
            f"{where}: no pixel profile here is open_clip's resize_mode {rule} with {method}; give pixels as an option"
        )
    changes = {key: told[key] for key in ("mean", "std") if key in told}
    changes |= {"resize": rules[rule]} if "resize_mode" in told else {}
    changes |= {"interpolation": filters[method]} if "interpolation" in told else {}
    return changed(preset, changes)


def write(state, config):
    """{OpenAI's key: array} of the image tower. Its activation and epsilon have no place there; CheckpointError for a
    bias of the patches, which has none either."""
    return written(state, vit_of(config, "clip"), TORCH, "visual.")


LAYOUTS = [Layout("clip", fits, read, write), Layout("transformers_clip", fits_transformers, read_transformers)]

"""Both towers as transformers' VisionTextDualEncoderModel: which models have that form, its config.json, its tensors.

The image tower is a CLIPVisionModel, the text tower an ErnieModel with its pooler. A tower's own projection is that of
the model; where it has none, as released, the projection is the identity, which changes no bit.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from ...checkpoints.layouts import hugging_face
from ...checkpoints.layouts.clip import TRANSFORMERS, without_patch_bias
from ...checkpoints.layouts.mapping import Entry, Mapped, reshaped, transposed
from ...checkpoints.layouts.text_export import entries_back
from ...config.model import PLAIN, ModelConfig
from ...config.tower_fields import ImageTowerConfig, TextTowerConfig
from ...errors import ConfigError

VISION, TEXT = "vision_model.", "text_model."
"""Beginnings of the keys of both towers, which names of their own follow"""
TEMPERATURE = "contrastive_loss_mm.temperature_b"
FORMS = {"image": (ImageTowerConfig, "CLIPVisionModel"), "text": (TextTowerConfig, "ErnieModel")}
"""{tower: (its kind that has a form, the model of transformers that is that form)}"""


def refuse_other_forms(config: ModelConfig) -> None:
    """ConfigError that names the part of a model which transformers has no form of."""
    advice = "export it to paddle, onnx or openvino"
    if config.system != PLAIN:
        raise ConfigError(
            f"the system {config.system} has layers that transformers' VisionTextDualEncoderModel has no form of; "
            f"{advice}"
        )
    for name, tower in config.towers().items():
        kind, form = FORMS[name]
        if not isinstance(tower, kind):
            raise ConfigError(
                f"transformers has no form of an {name} tower of kind {tower.kind} that embeds as this one does, "
                f"only {form} is written; {advice}"
            )
    if not config.image_tower.pre_norm:
        raise ConfigError(
            "transformers' CLIPVisionModel has a norm before its first block, and this image tower has none "
            f"(image_tower.pre_norm: false); {advice}"
        )


def model_settings(config: ModelConfig, temperature: float) -> dict[str, Any]:
    """config.json of the model; temperature: the logarithm of the scale of its cosines."""
    return {
        "architectures": ["VisionTextDualEncoderModel"],
        "model_type": "vision-text-dual-encoder",
        "projection_dim": config.image_tower.embed_dim(),
        "logit_scale_init_value": temperature,
        "vision_config": vision_settings(config.image_tower),
        "text_config": hugging_face.settings(config),
        "torch_dtype": "float32",
    }


def vision_settings(tower: ImageTowerConfig) -> dict[str, Any]:
    """What config.json says of the CLIPVisionModel."""
    return {
        "architectures": ["CLIPVisionModel"],
        "model_type": "clip_vision_model",
        "image_size": tower.image_size,
        "patch_size": tower.patch_size,
        "hidden_size": tower.width,
        "num_hidden_layers": tower.depth,
        "num_attention_heads": tower.heads,
        "intermediate_size": int(tower.width * tower.mlp_ratio),
        "hidden_act": tower.activation,
        "layer_norm_eps": tower.epsilon,
        "projection_dim": tower.embed_dim(),
        "torch_dtype": "float32",
    }


def model_state(state: Mapping[str, np.ndarray], config: ModelConfig) -> Mapped:
    """{key of a VisionTextDualEncoderModel: float32 array} of a state in the release's keys, made when asked for."""
    towers = without_patch_bias(state, config.image_tower, TRANSFORMERS).entries
    entries = {f"{VISION if key.startswith(VISION) else ''}{key}": entry for key, entry in towers.items()}
    text = replace(config.text_tower, projection=0)
    entries |= entries_back(text, hugging_face.NAMES, TEXT, types=hugging_face.TOKEN_TYPES)
    if config.text_tower.projection:
        sides = (config.text_tower.projection, config.text_tower.width)
        entries["text_projection.weight"] = transposed("text_model.proj.weight", sides)
    for name, tower in (("visual", config.image_tower), ("text", config.text_tower)):
        if not tower.projection:
            entries[f"{name}_projection.weight"] = identity(tower.width)
    return Mapped(state, entries | {"logit_scale": reshaped(TEMPERATURE, ())})


def identity(width: int) -> Entry:
    """The matrix [width, width] of a projection that changes nothing."""
    return Entry((), (width, width), lambda: np.eye(width, dtype=np.float32))

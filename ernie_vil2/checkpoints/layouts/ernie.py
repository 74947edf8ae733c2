"""PaddleNLP's ERNIE models (1.0, 2.0, 3.0) as our text tower, and back."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ...config.model import ModelConfig
from .. import release_layout
from ..formats.lazy_tensors import Float32View
from . import shapes
from .layout_record import Found, Layout, Read
from .mapping import Mapped
from .text_export import entries_back, settings_back
from .text_tower import WORD, Names, model_config, read_tower, tokenizer_notes

NAMES = Names(
    layout="PaddleNLP ERNIE",
    block="encoder.layers.{}",
    norm="embeddings.layer_norm",
    linears={
        "attn.q": "self_attn.q_proj",
        "attn.k": "self_attn.k_proj",
        "attn.v": "self_attn.v_proj",
        "attn.o": "self_attn.out_proj",
        "ffn.i": "linear1",
        "ffn.o": "linear2",
    },
    norms={"ln1": "norm1", "ln2": "norm2"},
    torch=False,
)
EPSILON = 1e-12
"""PaddleNLP 2.8.1 runs every LayerNorm of an ErnieModel with it, whatever `layer_norm_eps` says."""


def fits(keys: Collection[str]) -> bool:
    """Whether the keys are those of an ErnieModel, alone or under `ernie.` in a model with a head."""
    return any(key in keys for key in (WORD, f"ernie.{WORD}")) and any(
        re.match(r"(ernie\.)?encoder\.layers\.\d+\.self_attn\.q_proj\.weight$", key) for key in keys
    )


def flat(settings: dict[str, Any]) -> dict[str, Any]:
    """Settings of a config.json, or of the older model_config.json, whose values lie in `init_args`."""
    inner = settings.get("init_args")
    while type(inner) in (list, tuple) and inner and type(inner[0]) is dict:
        settings = settings | inner[0]
        inner = inner[0].get("init_args")
    return settings


def epsilon_note(settings: Mapping[str, Any]) -> list[str]:
    """A note where the settings say another epsilon than PaddleNLP runs."""
    stated = settings.get("layer_norm_eps", EPSILON)
    return (
        []
        if stated == EPSILON or "epsilon" in settings
        else [f"its config.json says epsilon {stated:g}, but PaddleNLP runs its ERNIE with {EPSILON:g}, which is taken"]
    )


def read(found: Found) -> Read:
    """A Read of a text tower; heads of the model (classifiers, masked words) are left out."""
    prefix = "" if WORD in found.state else "ernie."
    settings = flat(found.settings)
    tower = read_tower(found, NAMES, prefix, settings, EPSILON)
    config = model_config(found, tower.config, tokenizer="paddlenlp")
    notes = [*tower.notes, *epsilon_note(settings), *tokenizer_notes(found), *shapes.left_out(found.state, tower.used)]
    entries = {key: tower.entries[key] for key in release_layout.manifest(config)}
    return Read(config, Mapped(found.state, entries), notes)


def write(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{key: array} of an ErnieModel without token types."""
    return Mapped(Float32View(state), entries_back(config.text_tower, NAMES, ""))


def settings(config: ModelConfig) -> dict[str, Any]:
    """What its config.json says."""
    return settings_back(config.text_tower) | {
        "architectures": ["ErnieModel"],
        "model_type": "ernie",
        "type_vocab_size": 0,
        "pool_act": "tanh",
    }


LAYOUTS = [Layout(NAMES.layout, fits, read, write, settings)]

"""Hugging Face's ERNIE and BERT (Chinese RoBERTa-wwm and MacBERT too, which are BERT) as our text tower, and back."""

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
    layout="Hugging Face ERNIE or BERT",
    block="encoder.layer.{}",
    norm="embeddings.LayerNorm",
    linears={
        "attn.q": "attention.self.query",
        "attn.k": "attention.self.key",
        "attn.v": "attention.self.value",
        "attn.o": "attention.output.dense",
        "ffn.i": "intermediate.dense",
        "ffn.o": "output.dense",
    },
    norms={"ln1": "attention.output.LayerNorm", "ln2": "output.LayerNorm"},
    torch=True,
)
PREFIXES = ("", "ernie.", "bert.", "roberta.")
EPSILON = 1e-12
TOKEN_TYPES = 2
"""Rows of token types of an ErnieModel that needs none: the library's default"""


def fits(keys: Collection[str]) -> bool:
    """Whether the keys are those of one BERT-like encoder, and of no model with an image tower beside it."""
    words = any(prefix + WORD in keys for prefix in PREFIXES)
    blocks = any(re.match(r"(\w+\.)?encoder\.layer\.\d+\.attention\.self\.query\.weight$", key) for key in keys)
    return words and blocks and not any(key.startswith(("visual.", "vision_model.")) for key in keys)


def read(found: Found) -> Read:
    """A Read of a text tower; heads of the model (masked words, answers) are left out."""
    prefix = next(prefix for prefix in PREFIXES if prefix + WORD in found.state)
    settings = {"model_type": "roberta"} | found.settings if prefix == "roberta." else found.settings
    tower = read_tower(found, NAMES, prefix, settings, settings.get("layer_norm_eps", EPSILON))
    config = model_config(found, tower.config)
    notes = [*tower.notes, *tokenizer_notes(found), *shapes.left_out(found.state, tower.used)]
    entries = {key: tower.entries[key] for key in release_layout.manifest(config)}
    return Read(config, Mapped(found.state, entries), notes)


def write(state: Mapping[str, Any], config: ModelConfig) -> Mapped:
    """{key: array} of an ErnieModel of transformers, whose token type rows are zeros where the tower has none."""
    return Mapped(Float32View(state), entries_back(config.text_tower, NAMES, "", types=TOKEN_TYPES))


def settings(config: ModelConfig) -> dict[str, Any]:
    """What its config.json says."""
    return settings_back(config.text_tower) | {
        "architectures": ["ErnieModel"],
        "model_type": "ernie",
        "type_vocab_size": config.text_tower.token_types or TOKEN_TYPES,
        "torch_dtype": "float32",
    }


LAYOUTS = [Layout(NAMES.layout, fits, read, write, settings)]

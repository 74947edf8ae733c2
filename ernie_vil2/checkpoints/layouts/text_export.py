"""Our text tower in another layout: its entries, and what its config.json says."""

from typing import Any

import numpy as np

from ...config.tower_fields import TextTowerConfig
from ...errors import CheckpointError
from .mapping import Entry, copied, transposed
from .text_tower import POSITION, TOKEN_TYPE, WORD, Names, layers


def entries_back(tower: TextTowerConfig, names: Names, prefix: str, types: int = 0) -> dict[str, Entry]:
    """{their key: Entry} from a state of ours; `types`: rows of token type embeddings, those of the tower where it has
    some and else zeros; 0 leaves them out."""
    if tower.kind != "ernie" or tower.projection:
        raise CheckpointError(
            f"a text tower {'with a projection' if tower.kind == 'ernie' else f'of kind {tower.kind}'} has no form in "
            f"the layout {names.layout}; write a model directory instead"
        )
    width = tower.width
    entries = {}

    def norm(ours, theirs):
        for part in ("weight", "bias"):
            entries[f"{prefix}{theirs}.{part}"] = copied(f"text_model.{ours}.{part}", (width,))

    def linear(ours, theirs, inputs, outputs):
        key = f"text_model.{ours}.weight"
        made = transposed(key, (outputs, inputs)) if names.torch else copied(key, (inputs, outputs))
        entries[f"{prefix}{theirs}.weight"] = made
        entries[f"{prefix}{theirs}.bias"] = copied(f"text_model.{ours}.bias", (outputs,))

    entries[prefix + WORD] = copied("text_model.word_emb.weight", (tower.vocab_size, width))
    entries[prefix + POSITION] = copied("text_model.pos_emb.weight", (tower.positions, width))
    if types and tower.token_types:
        entries[prefix + TOKEN_TYPE] = copied("text_model.type_emb.weight", (tower.token_types, width))
    elif types:
        entries[prefix + TOKEN_TYPE] = Entry((), (types, width), lambda: np.zeros((types, width), np.float32))
    for ours, theirs, sizes in layers(tower, names):
        linear(ours, theirs, *sizes) if sizes else norm(ours, theirs)
    return entries


def settings_back(tower: TextTowerConfig) -> dict[str, Any]:
    """What a config.json of BERT's kind says about a tower of ours."""
    return {
        "vocab_size": tower.vocab_size,
        "hidden_size": tower.width,
        "num_hidden_layers": tower.depth,
        "num_attention_heads": tower.heads,
        "intermediate_size": int(tower.width * tower.mlp_ratio),
        "hidden_act": tower.activation,
        "max_position_embeddings": tower.positions,
        "layer_norm_eps": tower.epsilon,
        "hidden_dropout_prob": tower.dropout,
        "attention_probs_dropout_prob": tower.dropout,
        "pad_token_id": 0,
        "use_task_id": False,
    }

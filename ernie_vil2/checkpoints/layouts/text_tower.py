"""BERT-like text towers under other names, to ours: ERNIE of PaddleNLP, ERNIE and BERT of Hugging Face.

Rows of token types and of task types that every caption uses are added into the position embeddings, where the sum is
the same for every token.
"""

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ...config.model import ModelConfig, PixelProfile
from ...config.tower_fields import ImageTowerConfig, TextTowerConfig
from ...errors import CheckpointError, ConfigError
from ...schema import as_dict
from ..release_sizes import heads_of
from . import shapes
from .layout_record import Found
from .mapping import Entry, copied, transposed

WORD, POSITION = "embeddings.word_embeddings.weight", "embeddings.position_embeddings.weight"
TOKEN_TYPE, TASK_TYPE = "embeddings.token_type_embeddings.weight", "embeddings.task_type_embeddings.weight"
POOLER = "pooler.dense"
ACTIVATIONS = {"gelu": "gelu", "gelu_python": "gelu", "relu": "relu", "quick_gelu": "quick_gelu"}
MAX_EPSILON = 1e-3
HEADS = {1024: 16, 768: 12, 384: 12, 312: 12, 128: 2}
"""Heads of the published ERNIE and BERT models by their width."""
RELU_VOCABULARIES = (17964, 17965, 18000, 50006)
"""Sizes of the vocabularies of ERNIE 1.0 and 2.0 in Chinese, whose activation is relu."""


@dataclass(frozen=True)
class Names:
    """How a layout names the parts of a text tower; `block` has a place for the number of the block.

    linears and norms: {our name within a block: theirs}. torch: whether linear weights are [out, in].
    """

    layout: str
    block: str
    norm: str
    linears: dict
    norms: dict
    torch: bool


@dataclass
class Tower:
    """A text tower that was read: its configuration, {our key: Entry}, the keys it uses, and notes."""

    config: TextTowerConfig
    entries: dict
    used: set
    notes: list


def read_tower(found: Found, names: Names, prefix: str, settings: Mapping[str, Any], epsilon: float) -> Tower:
    """The text tower whose keys begin with `prefix`; CheckpointError lists what is missing or does not fit.

    settings: of the text model. epsilon: what its library runs LayerNorm with.
    """
    state, where, notes = found.state, found.path, []
    refuse_other_kinds(settings, where)
    vocab_size, width = shapes.sides(state, prefix + WORD, where, 2)
    positions = shapes.sides(state, prefix + POSITION, where, 2)[0]
    block = prefix + names.block
    pattern = block.format(r"(\d{1,9})").replace(".", r"\.") + r"\."
    depth = shapes.depth(state, pattern, where)
    hidden = linear_sides(state, f"{block.format(0)}.{names.linears['ffn.i']}.weight", names, where)[1]
    stated = {
        "vocab_size": vocab_size,
        "hidden_size": width,
        "max_position_embeddings": positions,
        "num_hidden_layers": depth,
        "intermediate_size": hidden,
    }
    shapes.compare_sizes(settings, stated, where)
    heads = settings.get("heads", settings.get("num_attention_heads"))
    if heads is None:
        heads = HEADS.get(width) or heads_of(width)
        reason = f"as published for width {width}" if width in HEADS else "of 64 columns"
        notes.append(f"no config.json says the heads of the text tower: {heads}, {reason}")
    stated = {"heads": "num_attention_heads", "activation": "hidden_act", "epsilon": "layer_norm_eps"}
    notes += shapes.overruled(settings, {name: settings[key] for name, key in stated.items() if key in settings})
    activation = settings.get("activation", settings.get("hidden_act")) or (
        "relu" if vocab_size in RELU_VOCABULARIES else "gelu"
    )
    if not {"hidden_act", "activation"} & set(settings):
        notes.append(f"no config.json says the activation of the text tower: {activation}")
    if type(activation) is not str or activation not in ACTIVATIONS:
        raise CheckpointError(
            f"{where}: its activation is {activation!r}, but a text tower has one of {', '.join(sorted(ACTIVATIONS))}; "
            "take another model"
        )
    tower = TextTowerConfig(
        vocab_size=vocab_size,
        positions=positions,
        width=width,
        depth=depth,
        heads=heads,
        mlp_ratio=shapes.ratio(hidden, width),
        activation=ACTIVATIONS[activation],
        epsilon=settings.get("epsilon", epsilon),
    )
    if f"{prefix}{POOLER}.weight" not in state:
        raise CheckpointError(
            f"{where} has no pooler ({prefix}{POOLER}.weight), whose output is the embedding of a text; "
            "take weights that were saved with it"
        )
    entries, used = entries_of(tower, state, names, prefix, where)
    notes += add_constant_rows(entries, used, state, prefix, settings, where)
    return Tower(tower, entries, used, notes)


def refuse_other_kinds(settings: Mapping[str, Any], where: str | os.PathLike) -> None:
    """CheckpointError for what looks like BERT and computes something else."""
    kind, position = settings.get("model_type", ""), settings.get("position_embedding_type", "absolute")
    if kind in ("roberta", "xlm-roberta", "camembert", "albert", "electra", "distilbert"):
        reason = f"is a model of type {kind}, whose vocabulary or structure is not BERT's"
    elif position != "absolute":
        reason = f"has positions of type {position}, not absolute ones"
    elif settings.get("pad_token_id") or 0:
        reason = f"pads with token {settings['pad_token_id']}, not with 0"
    else:
        return
    raise CheckpointError(f"{where} {reason}; take an ERNIE or BERT model with a WordPiece vocabulary")


def linear_sides(state: Mapping[str, Any], key: str, names: Names, where: str | os.PathLike) -> tuple[int, int]:
    """(inputs, outputs) of a linear weight."""
    first, second = shapes.sides(state, key, where, 2)
    return (second, first) if names.torch else (first, second)


def entries_of(
    tower: TextTowerConfig, state: Mapping[str, Any], names: Names, prefix: str, where: str | os.PathLike
) -> tuple[dict[str, Entry], set[str]]:
    """({our key: Entry}, keys used) of everything but the embeddings' constant rows, after comparing all shapes."""
    width = tower.width
    wanted, entries = {}, {}

    def add(ours, theirs, shape, make=copied):
        entries[f"text_model.{ours}"] = make(theirs, shape)
        wanted[theirs] = shape[::-1] if make is transposed else shape

    def norm(ours, theirs):
        for part, old in (("weight", "gamma"), ("bias", "beta")):
            key = f"{prefix}{theirs}.{part}"
            add(f"{ours}.{part}", f"{prefix}{theirs}.{old}" if f"{prefix}{theirs}.{old}" in state else key, (width,))

    def linear(ours, theirs, inputs, outputs):
        add(f"{ours}.weight", f"{prefix}{theirs}.weight", (inputs, outputs), transposed if names.torch else copied)
        add(f"{ours}.bias", f"{prefix}{theirs}.bias", (outputs,))

    add("word_emb.weight", prefix + WORD, (tower.vocab_size, width))
    add("pos_emb.weight", prefix + POSITION, (tower.positions, width))
    for ours, theirs, sizes in layers(tower, names):
        linear(ours, theirs, *sizes) if sizes else norm(ours, theirs)
    shapes.check(state, wanted, where, names.layout)
    return entries, set(wanted)


def layers(tower: TextTowerConfig, names: Names) -> Iterator[tuple[str, str, tuple[int, int] | None]]:
    """Yield (our name, their name, (inputs, outputs), or None for a LayerNorm) of every layer above the embeddings."""
    width, hidden = tower.width, int(tower.width * tower.mlp_ratio)
    yield "ln", names.norm, None
    for index in range(tower.depth):
        ours, theirs = f"encoder_stack.block.{index}", names.block.format(index)
        for part, name in names.linears.items():
            sizes = {"ffn.i": (width, hidden), "ffn.o": (hidden, width)}.get(part, (width, width))
            yield f"{ours}.{part}", f"{theirs}.{name}", sizes
        for part, name in names.norms.items():
            yield f"{ours}.{part}", f"{theirs}.{name}", None
    yield "pooler", POOLER, (width, width)


def add_constant_rows(
    entries: dict[str, Entry],
    used: set[str],
    state: Mapping[str, Any],
    prefix: str,
    settings: Mapping[str, Any],
    where: str | os.PathLike,
) -> list[str]:
    """Put the token type row 0 and the task row that is used into the positions; notes about it."""
    position = entries["text_model.pos_emb.weight"]
    sources, rows, notes = list(position.sources), [], []
    for key, row, name, on in (
        (prefix + TOKEN_TYPE, 0, "token type", settings.get("type_vocab_size", 1)),
        (prefix + TASK_TYPE, settings.get("task_id") or 0, "task", settings.get("use_task_id", True)),
    ):
        if key not in state or not on:
            continue
        count, width = shapes.sides(state, key, where, 2)
        if width != position.shape[1] or type(row) is not int or not 0 <= row < count:
            raise CheckpointError(
                f"{where}: {key} has shape {[count, width]}, but row {row} of width {position.shape[1]} is needed; "
                "take the file again from its source"
            )
        sources.append(key)
        rows.append(row)
        used.add(key)
        notes.append(f"row {row} of its {count} {name} embeddings is added to the position embeddings")
    if rows:

        def add(table, *others):
            return sum((other[row] for other, row in zip(others, rows, strict=True)), table.astype(np.float32))

        entries["text_model.pos_emb.weight"] = Entry(tuple(sources), position.shape, add)
    return notes


def model_config(
    found: Found,
    text: TextTowerConfig | None = None,
    image: ImageTowerConfig | None = None,
    pixels: PixelProfile | None = None,
    tokenizer: str = "bert",
) -> ModelConfig:
    """The ModelConfig of a text tower, an image tower or both, with the tokenizer's settings; it is checked, and so is
    that Paddle can run it."""
    towers = {"image_tower": image and as_dict(image), "text_tower": text and as_dict(text)}
    content = towers | {"tokenizer": tokenizer, "lower_case": bool(found.tokenizer.get("do_lower_case", True))}
    if text is not None:
        content["max_length"] = min(ModelConfig.max_length, text.positions)
    if pixels is not None:
        content["pixels"] = as_dict(pixels)
    try:
        config = ModelConfig.from_dict(content, str(found.path))
    except ConfigError as error:
        raise CheckpointError(f"its shapes and its config.json describe no model: {error}") from None
    for tower in config.towers().values():
        check_epsilon(tower.epsilon, found.path)
    return config


def check_epsilon(epsilon: float, where: str | os.PathLike) -> None:
    """CheckpointError for an epsilon of a LayerNorm that Paddle does not take."""
    if epsilon > MAX_EPSILON:
        raise CheckpointError(
            f"{where} runs LayerNorm with epsilon {epsilon:g}, but Paddle's takes at most {MAX_EPSILON:g}; take "
            "another model"
        )


def tokenizer_notes(found: Found) -> list[str]:
    """Notes on what a tokenizer_config.json asks for that our tokenizer does not do."""
    asked, notes = found.tokenizer, []
    if asked.get("tokenize_chinese_chars") is False:
        notes.append("its tokenizer keeps Chinese words whole; ours splits them into characters")
    accents = asked.get("strip_accents")
    if accents is not None and bool(accents) != bool(asked.get("do_lower_case", True)):
        notes.append("its tokenizer treats accents apart from case; ours strips them where it lower-cases")
    return notes

"""Which tensor of BriVL's release is which of ours, in the order of the released file.

The file has four parts: the image encoder and the text encoder, each with a twin that followed it in training.
"""

from collections.abc import Iterator
from typing import NamedTuple

from ....config.model import ModelConfig
from ...release_layout import tower_shapes
from ..efficientnet import places, timm_key
from ..hugging_face import NAMES
from ..text_tower import POSITION, TOKEN_TYPE, WORD, layers

IMAGE, TEXT = "imgencoder", "textencoder"
TWIN = "_mom"
PARTS = (IMAGE, IMAGE + TWIN, TEXT, TEXT + TWIN)
BACKBONE, BERT, LEARNABLE = "backbone.", "backbone.bert.", "learnable."
CLASSES = 1000
"""Of the classifier of the image backbone, which nothing reads"""
BLOCK = ("attn.q", "attn.k", "attn.v", "attn.o", "ln1", "ffn.i", "ffn.o", "ln2")
"""Layers of a block of BERT in the released order"""


class Row(NamedTuple):
    """A tensor of a part: its key there, our key (None: nothing reads it), the shape there, and what differs from ours.

    how: same; transposed (torch's Linear, [out, in]); cell (a convolution of 1 x 1, [out, in, 1, 1], ours [in, out]).
    """

    theirs: str
    ours: str | None
    shape: tuple[int, ...]
    how: str = "same"


def rows(part: str, config: ModelConfig) -> list[Row]:
    """The Rows of a part, or of its twin, in the released order."""
    plain = part.removesuffix(TWIN)
    return list(image_rows(config) if plain == IMAGE else text_rows(config))


def image_rows(config: ModelConfig) -> Iterator[Row]:
    """Yield the Rows of the image encoder."""
    tower = config.image_tower
    spots = places(tower)
    for key, shape in tower_shapes(tower).items():
        theirs = BACKBONE + timm_key(key, spots)
        yield Row(theirs, key, shape)
        if key.endswith("._variance"):
            yield Row(theirs.replace("running_var", "num_batches_tracked"), None, ())
    yield Row(f"{BACKBONE}classifier.weight", None, (CLASSES, tower.width))
    yield Row(f"{BACKBONE}classifier.bias", None, (CLASSES,))
    yield from head_rows(config, "img", "image_head", tower.width)
    yield Row(f"{LEARNABLE}max_pool.0.weight", "image_head.cell_proj.weight", (tower.width, tower.width, 1, 1), "cell")
    yield Row(f"{LEARNABLE}max_pool.0.bias", "image_head.cell_proj.bias", (tower.width,))


def text_rows(config: ModelConfig) -> Iterator[Row]:
    """Yield the Rows of the text encoder."""
    tower = config.text_tower
    width, ours = tower.width, "text_model."
    yield Row(f"{BERT}embeddings.position_ids", None, (1, tower.positions))
    yield Row(BERT + WORD, f"{ours}word_emb.weight", (tower.vocab_size, width))
    yield Row(BERT + POSITION, f"{ours}pos_emb.weight", (tower.positions, width))
    types = f"{ours}type_emb.weight" if tower.token_types else None
    yield Row(BERT + TOKEN_TYPE, types, (tower.token_types or 2, width))
    named = {name: (f"{BERT}{theirs}", f"{ours}{name}", sizes) for name, theirs, sizes in layers(tower, NAMES)}
    blocks = [f"encoder_stack.block.{index}.{name}" for index in range(tower.depth) for name in BLOCK]
    for theirs, name, sizes in (named[key] for key in ("ln", *blocks, "pooler")):
        yield from linear(theirs, name, *sizes) if sizes else norm(theirs, name, width)
    yield from head_rows(config, "text", "text_head", width)


def head_rows(config: ModelConfig, theirs: str, ours: str, width: int) -> Iterator[Row]:
    """Yield the Rows of the transformer and the MLP over boxes or tokens of a `width`."""
    own = config.settings
    yield from linear(f"{LEARNABLE}{theirs}FC.fc1", f"{ours}.fc1", width, own["hidden"])
    yield from linear(f"{LEARNABLE}{theirs}FC.fc2", f"{ours}.fc2", own["hidden"], own["embed_dim"])
    for index in range(own["layers"]):
        there, here = f"{LEARNABLE}{theirs}Att.layers.{index}", f"{ours}.layers.{index}"
        yield Row(f"{there}.self_attn.in_proj_weight", f"{here}.qkv.weight", (3 * width, width), "transposed")
        yield Row(f"{there}.self_attn.in_proj_bias", f"{here}.qkv.bias", (3 * width,))
        yield from linear(f"{there}.self_attn.out_proj", f"{here}.out", width, width)
        yield from linear(f"{there}.linear1", f"{here}.fc1", width, own["feed_forward"])
        yield from linear(f"{there}.linear2", f"{here}.fc2", own["feed_forward"], width)
        for name in ("norm1", "norm2"):
            yield from norm(f"{there}.{name}", f"{here}.{name}", width)


def linear(theirs: str, ours: str, inputs: int, outputs: int) -> Iterator[Row]:
    """Yield the Rows of a Linear."""
    yield Row(f"{theirs}.weight", f"{ours}.weight", (outputs, inputs), "transposed")
    yield Row(f"{theirs}.bias", f"{ours}.bias", (outputs,))


def norm(theirs: str, ours: str, width: int) -> Iterator[Row]:
    """Yield the Rows of a LayerNorm."""
    yield Row(f"{theirs}.weight", f"{ours}.weight", (width,))
    yield Row(f"{theirs}.bias", f"{ours}.bias", (width,))

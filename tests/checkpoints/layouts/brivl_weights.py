"""A small BriVL in the keys and the order of the released file, written down here apart from the library's own list.

An EfficientNet-B0 of width 0.1 and depth 0.6, a BERT of 2 blocks 64 wide, heads of 2 layers.
"""

import numpy as np

from tests.conftest import VOCABULARY

WIDTH, BERT, FEED, HIDDEN, EMBED, DEPTH, POSITIONS, CLASSES = 128, 64, 40, 24, 16, 2, 20, 1000
ROWS = len(VOCABULARY)
OPTIONS = {"image_size": 64, "max_length": 12}
STAGES = ((1, 8, 1, 3), (2, 8, 6, 3), (2, 8, 6, 5), (2, 8, 6, 3), (2, 16, 6, 5), (3, 24, 6, 5), (1, 32, 6, 3))
"""Blocks, channels, expansion, kernel"""


def linear(name, inputs, outputs):
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def layer_norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def batch_norm(name, width):
    values = dict.fromkeys(("weight", "bias", "running_mean", "running_var"), (width,))
    return {f"{name}.{value}": shape for value, shape in {**values, "num_batches_tracked": ()}.items()}


def squeeze(name, narrow, wide):
    shapes = {f"{name}.conv_reduce.weight": (narrow, wide, 1, 1), f"{name}.conv_reduce.bias": (narrow,)}
    return {**shapes, f"{name}.conv_expand.weight": (wide, narrow, 1, 1), f"{name}.conv_expand.bias": (wide,)}


def backbone():
    shapes, inputs = {"conv_stem.weight": (8, 3, 3, 3), **batch_norm("bn1", 8)}, 8
    for stage, (blocks, outputs, expansion, kernel) in enumerate(STAGES):
        for index in range(blocks):
            name, hidden, count = f"blocks.{stage}.{index}", inputs * expansion, 1
            if expansion > 1:
                shapes |= {f"{name}.conv_pw.weight": (hidden, inputs, 1, 1), **batch_norm(f"{name}.bn1", hidden)}
                count = 2
            shapes |= {f"{name}.conv_dw.weight": (hidden, 1, kernel, kernel)}
            shapes |= batch_norm(f"{name}.bn{count}", hidden) | squeeze(f"{name}.se", inputs // 4, hidden)
            last = "conv_pwl" if expansion > 1 else "conv_pw"
            shapes |= {f"{name}.{last}.weight": (outputs, hidden, 1, 1)}
            shapes |= batch_norm(f"{name}.bn{count + 1}", outputs)
            inputs = outputs
    shapes |= {"conv_head.weight": (WIDTH, inputs, 1, 1), **batch_norm("bn2", WIDTH)}
    return shapes | linear("classifier", WIDTH, CLASSES)


def bert():
    shapes = {"embeddings.position_ids": (1, POSITIONS), "embeddings.word_embeddings.weight": (ROWS, BERT)}
    shapes |= {"embeddings.position_embeddings.weight": (POSITIONS, BERT)}
    shapes |= {"embeddings.token_type_embeddings.weight": (2, BERT), **layer_norm("embeddings.LayerNorm", BERT)}
    for index in range(DEPTH):
        name = f"encoder.layer.{index}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            shapes |= linear(f"{name}.attention.{part}", BERT, BERT)
        shapes |= layer_norm(f"{name}.attention.output.LayerNorm", BERT)
        shapes |= linear(f"{name}.intermediate.dense", BERT, 2 * BERT) | linear(f"{name}.output.dense", 2 * BERT, BERT)
        shapes |= layer_norm(f"{name}.output.LayerNorm", BERT)
    return shapes | linear("pooler.dense", BERT, BERT)


def head(name, width):
    shapes = linear(f"{name}FC.fc1", width, HIDDEN) | linear(f"{name}FC.fc2", HIDDEN, EMBED)
    for index in range(DEPTH):
        layer = f"{name}Att.layers.{index}"
        shapes |= {f"{layer}.self_attn.in_proj_weight": (3 * width, width)}
        shapes |= {f"{layer}.self_attn.in_proj_bias": (3 * width,)}
        shapes |= linear(f"{layer}.self_attn.out_proj", width, width)
        shapes |= linear(f"{layer}.linear1", width, FEED) | linear(f"{layer}.linear2", FEED, width)
        shapes |= layer_norm(f"{layer}.norm1", width) | layer_norm(f"{layer}.norm2", width)
    return shapes


def under(prefix, shapes):
    return {prefix + key: shape for key, shape in shapes.items()}


def released(twins=True):
    """{key: array} in the released order; no two tensors are alike, twins differ from the encoders."""
    pool = {"max_pool.0.weight": (WIDTH, WIDTH, 1, 1), "max_pool.0.bias": (WIDTH,)}
    image = under("backbone.", backbone()) | under("learnable.", head("img", WIDTH) | pool)
    text = under("backbone.bert.", bert()) | under("learnable.", head("text", BERT))
    state, rng = {}, np.random.default_rng(7)
    for part, shapes in (
        ("imgencoder", image),
        ("imgencoder_mom", image),
        ("textencoder", text),
        ("textencoder_mom", text),
    ):
        if part.endswith("_mom") and not twins:
            continue
        for key, shape in shapes.items():
            value = 0.1 * rng.standard_normal(shape).astype(np.float32)
            if key.endswith("running_var"):
                value = 1 + np.abs(value)
            elif key.endswith("position_ids"):
                value = np.arange(POSITIONS)[None]
            elif key.endswith("num_batches_tracked"):
                value = np.array(len(state) + 1)
            state[f"{part}.{key}"] = value
    assert all(value.dtype == (np.float32 if value.dtype.kind == "f" else np.int64) for value in state.values())
    return state


def plain_of(key):
    """The key of the encoder's tensor that a twin's tensor follows."""
    return key.replace("_mom.", ".", 1)

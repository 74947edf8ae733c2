"""Folders as other projects publish their text models, with random weights, made without their libraries."""

import json

import numpy as np

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.formats.safetensors_file import write_safetensors
from tests.conftest import VOCABULARY

WIDTH, HIDDEN, DEPTH, ROWS, LENGTH = 32, 48, 2, 64, 40
SETTINGS = {
    "vocab_size": ROWS,
    "hidden_size": WIDTH,
    "num_hidden_layers": DEPTH,
    "num_attention_heads": 4,
    "intermediate_size": HIDDEN,
    "max_position_embeddings": LENGTH,
    "hidden_act": "gelu",
}
PADDLE_LINEARS = {
    "self_attn.q_proj": None,
    "self_attn.k_proj": None,
    "self_attn.v_proj": None,
    "self_attn.out_proj": None,
    "linear1": (WIDTH, HIDDEN),
    "linear2": (HIDDEN, WIDTH),
}
TORCH_LINEARS = {
    "attention.self.query": None,
    "attention.self.key": None,
    "attention.self.value": None,
    "attention.output.dense": None,
    "intermediate.dense": (WIDTH, HIDDEN),
    "output.dense": (HIDDEN, WIDTH),
}


def draw(shapes):
    """{key: random float32 array}; norm weights are near 1."""
    rng, state = np.random.default_rng(3), {}
    for key, shape in shapes.items():
        value = 0.3 * rng.standard_normal(shape).astype(np.float32)
        state[key] = value + np.float32(1) if len(shape) == 1 and key.endswith(("weight", "gamma")) else value
    return state


def tables(types, tasks):
    shapes = {
        "embeddings.word_embeddings.weight": (ROWS, WIDTH),
        "embeddings.position_embeddings.weight": (LENGTH, WIDTH),
    }
    shapes |= {"embeddings.token_type_embeddings.weight": (types, WIDTH)} if types else {}
    return shapes | ({"embeddings.task_type_embeddings.weight": (tasks, WIDTH)} if tasks else {})


def both(name, shape):
    return {f"{name}.weight": shape, f"{name}.bias": shape[-1:]}


def paddle_ernie(prefix="", types=4, tasks=3):
    """The state of an ErnieModel of PaddleNLP."""
    shapes = tables(types, tasks) | both("embeddings.layer_norm", (WIDTH,)) | both("pooler.dense", (WIDTH, WIDTH))
    for index in range(DEPTH):
        block = f"encoder.layers.{index}"
        for name, shape in PADDLE_LINEARS.items():
            shapes |= both(f"{block}.{name}", shape or (WIDTH, WIDTH))
        shapes |= both(f"{block}.norm1", (WIDTH,)) | both(f"{block}.norm2", (WIDTH,))
    return draw({prefix + key: shape for key, shape in shapes.items()})


def torch_bert(prefix="", types=2, tasks=0):
    """The state of a BertModel or ErnieModel of transformers; linear weights are [out, in]."""
    shapes = tables(types, tasks) | both("embeddings.LayerNorm", (WIDTH,)) | both("pooler.dense", (WIDTH, WIDTH))
    for index in range(DEPTH):
        block = f"encoder.layer.{index}"
        for name, shape in TORCH_LINEARS.items():
            inputs, outputs = shape or (WIDTH, WIDTH)
            shapes |= {f"{block}.{name}.weight": (outputs, inputs), f"{block}.{name}.bias": (outputs,)}
        shapes |= both(f"{block}.attention.output.LayerNorm", (WIDTH,)) | both(f"{block}.output.LayerNorm", (WIDTH,))
    return draw({prefix + key: shape for key, shape in shapes.items()})


def ernie_vil():
    """The state of an ErnieViLModel of PaddleNLP with an image tower of 32 px and patches of 8."""
    image = {"class_embedding": (WIDTH,), "conv1.weight": (WIDTH, 3, 8, 8), "positional_embedding.weight": (17, WIDTH)}
    image |= both("ln_pre", (WIDTH,)) | both("ln_post", (WIDTH,))
    for index in range(DEPTH):
        block = f"transformer.layers.{index}"
        for name, shape in PADDLE_LINEARS.items():
            image |= both(f"{block}.{name}", shape or (WIDTH, WIDTH))
        image |= both(f"{block}.norm1", (WIDTH,)) | both(f"{block}.norm2", (WIDTH,))
    state = draw({f"vision_model.{key}": shape for key, shape in image.items()} | {"temperature": (1,)})
    return state | paddle_ernie("text_model.", 0, 0)


def write_source(folder, state, settings=SETTINGS, name="model_state.pdparams", **files):
    """Write weights, config.json (unless settings are None), vocab.txt and other JSON files `name=content`."""
    folder.mkdir(parents=True, exist_ok=True)
    if name.endswith(".pdparams"):
        write_pdparams(folder / name, state)
    else:
        with open(folder / name, "wb") as handle:
            write_safetensors(handle, state, "pt")
    if settings is not None:
        (folder / "config.json").write_text(json.dumps(settings))
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    for stem, content in files.items():
        (folder / f"{stem}.json").write_text(json.dumps(content))
    return folder

"""Text and image towers of other projects in plain NumPy and float64, from their own keys.

It shares no code with the layouts that convert them, so a mistake there cannot hide here.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from ..config.tower_fields import ImageTowerConfig, TextTowerConfig

State = Mapping[str, np.ndarray]
"""{key: array} of a source, in its own keys"""
Settings = Mapping[str, Any]
"""What a source says of itself, its config.json"""
WORD = "embeddings.word_embeddings.weight"
PADDLE_BLOCK = {
    "q": "encoder.layers.{}.self_attn.q_proj",
    "k": "encoder.layers.{}.self_attn.k_proj",
    "v": "encoder.layers.{}.self_attn.v_proj",
    "o": "encoder.layers.{}.self_attn.out_proj",
    "n1": "encoder.layers.{}.norm1",
    "up": "encoder.layers.{}.linear1",
    "down": "encoder.layers.{}.linear2",
    "n2": "encoder.layers.{}.norm2",
    "first": "embeddings.layer_norm",
}
TORCH_BLOCK = {
    "q": "encoder.layer.{}.attention.self.query",
    "k": "encoder.layer.{}.attention.self.key",
    "v": "encoder.layer.{}.attention.self.value",
    "o": "encoder.layer.{}.attention.output.dense",
    "n1": "encoder.layer.{}.attention.output.LayerNorm",
    "up": "encoder.layer.{}.intermediate.dense",
    "down": "encoder.layer.{}.output.dense",
    "n2": "encoder.layer.{}.output.LayerNorm",
    "first": "embeddings.LayerNorm",
}
PADDLENLP_VIT = {
    "token": "class_embedding",
    "positions": "positional_embedding.weight",
    "patches": "conv1",
    "pre": "ln_pre",
    "post": "ln_post",
    "n1": "transformer.layers.{}.norm1",
    "n2": "transformer.layers.{}.norm2",
    "q": "transformer.layers.{}.self_attn.q_proj",
    "k": "transformer.layers.{}.self_attn.k_proj",
    "v": "transformer.layers.{}.self_attn.v_proj",
    "o": "transformer.layers.{}.self_attn.out_proj",
    "up": "transformer.layers.{}.linear1",
    "down": "transformer.layers.{}.linear2",
    "torch": False,
}
CLIP_VIT = {
    "token": "class_embedding",
    "positions": "positional_embedding",
    "patches": "conv1",
    "pre": "ln_pre",
    "post": "ln_post",
    "n1": "transformer.resblocks.{}.ln_1",
    "n2": "transformer.resblocks.{}.ln_2",
    "qkv": "transformer.resblocks.{}.attn.in_proj_",
    "o": "transformer.resblocks.{}.attn.out_proj",
    "up": "transformer.resblocks.{}.mlp.c_fc",
    "down": "transformer.resblocks.{}.mlp.c_proj",
    "proj": "proj",
    "torch": True,
}
FLASH_VIT = CLIP_VIT | {"qkv": "transformer.resblocks.{}.attn.Wqkv."}
TRANSFORMERS_VIT = {
    "token": "embeddings.class_embedding",
    "positions": "embeddings.position_embedding.weight",
    "patches": "embeddings.patch_embedding",
    "pre": "pre_layrnorm",
    "post": "post_layernorm",
    "n1": "encoder.layers.{}.layer_norm1",
    "n2": "encoder.layers.{}.layer_norm2",
    "q": "encoder.layers.{}.self_attn.q_proj",
    "k": "encoder.layers.{}.self_attn.k_proj",
    "v": "encoder.layers.{}.self_attn.v_proj",
    "o": "encoder.layers.{}.self_attn.out_proj",
    "up": "encoder.layers.{}.mlp.fc1",
    "down": "encoder.layers.{}.mlp.fc2",
    "proj": "visual_projection.weight",
    "torch": True,
}
PADDLECLAS_VIT = {
    "token": "cls_token",
    "positions": "pos_embed",
    "patches": "patch_embed.proj",
    "pre": "ln_pre",
    "post": "norm",
    "n1": "blocks.{}.norm1",
    "n2": "blocks.{}.norm2",
    "qkv": "blocks.{}.attn.qkv.",
    "o": "blocks.{}.attn.proj",
    "up": "blocks.{}.mlp.fc1",
    "down": "blocks.{}.mlp.fc2",
    "proj": "proj",
    "torch": False,
}


def prefix_of(state: State, name: str = WORD) -> str:
    """What stands before the key `name` in a state."""
    return next(key for key in state if key.endswith(name)).removesuffix(name)


def tensor(state: State, key: str) -> np.ndarray:
    """A tensor, under its old name of TensorFlow's time where it has that."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, name in old.items():
        if key not in state and key.endswith(new):
            key = key.removesuffix(new) + name
    return state[key]


def plain_text(
    state: State,
    prefix: str,
    settings: Settings,
    tower: TextTowerConfig,
    ids: np.ndarray,
    names: Mapping[str, str],
    epsilon: float,
) -> np.ndarray:
    """tanh(pooler(token 0)) [N, D] of a post-LN encoder, in float64; padding (id 0) is not attended to."""
    heads, activation, epsilon = asked(settings, tower, epsilon)
    torch = names is TORCH_BLOCK

    def linear(x, name):
        weight = state[f"{prefix}{name}.weight"].astype(np.float64)
        return x @ (weight.T if torch else weight) + state[f"{prefix}{name}.bias"]

    def norm(x, name):
        return normal(x, tensor(state, f"{prefix}{name}.weight"), tensor(state, f"{prefix}{name}.bias"), epsilon)

    table = f"{prefix}embeddings."
    x = state[f"{table}word_embeddings.weight"][ids].astype(np.float64)
    x += state[f"{table}position_embeddings.weight"][: ids.shape[1]]
    if f"{table}token_type_embeddings.weight" in state:
        x += state[f"{table}token_type_embeddings.weight"][0]
    if f"{table}task_type_embeddings.weight" in state and settings.get("use_task_id", True):
        x += state[f"{table}task_type_embeddings.weight"][settings.get("task_id", 0)]
    x = norm(x, names["first"])
    for index in range(tower.depth):
        part = {key: name.format(index) for key, name in names.items()}
        mixed = attention(*(linear(x, part[key]) for key in "qkv"), heads, ids != 0)
        x = norm(x + linear(mixed, part["o"]), part["n1"])
        x = norm(x + linear(active(linear(x, part["up"]), activation), part["down"]), part["n2"])
    return np.tanh(linear(x[:, 0], "pooler.dense"))


def plain_vit(
    state: State, prefix: str, names: Mapping[str, Any], tower: ImageTowerConfig, pixels: np.ndarray
) -> np.ndarray:
    """Normalised class token [N, D] of a pre-LN vision transformer, projected where the tower is, in float64.

    tower: heads, activation, epsilon, depth, pre_norm and projection.
    """

    def get(name):
        return state[f"{prefix}{name}"].astype(np.float64)

    def linear(x, name, dot="."):
        weight = get(f"{name}{dot}weight")
        return x @ (weight.T if names["torch"] else weight) + get(f"{name}{dot}bias")

    def norm(x, name):
        return normal(x, get(f"{name}.weight"), get(f"{name}.bias"), tower.epsilon)

    kernel = get(f"{names['patches']}.weight")
    side, count = kernel.shape[-1], pixels.shape[-1] // kernel.shape[-1]
    cells = pixels.astype(np.float64).reshape(len(pixels), 3, count, side, count, side)
    tokens = np.einsum("bchiwj,dcij->bhwd", cells, kernel, optimize=True).reshape(len(pixels), count * count, -1)
    if f"{prefix}{names['patches']}.bias" in state:
        tokens += get(f"{names['patches']}.bias")
    first = np.broadcast_to(get(names["token"]).reshape(1, 1, -1), (len(pixels), 1, tokens.shape[-1]))
    x = np.concatenate([first, tokens], axis=1) + get(names["positions"])
    if tower.pre_norm:
        x = norm(x, names["pre"])
    for index in range(tower.depth):
        part = {key: name.format(index) for key, name in names.items() if key != "torch"}
        y = norm(x, part["n1"])
        joined = (
            np.split(linear(y, part["qkv"], ""), 3, -1) if "qkv" in part else [linear(y, part[key]) for key in "qkv"]
        )
        x = x + linear(attention(*joined, tower.heads), part["o"])
        x = x + linear(active(linear(norm(x, part["n2"]), part["up"]), tower.activation), part["down"])
    x = norm(x[:, 0], names["post"])
    if not tower.projection:
        return x
    if names is TRANSFORMERS_VIT:
        return x @ state[names["proj"]].astype(np.float64).T
    return x @ get(names["proj"])


def asked(settings: Settings, tower: TextTowerConfig | ImageTowerConfig, epsilon: float) -> tuple[int, str, float]:
    """(heads, activation, epsilon): as the user says, else as the source says, else as they are assumed."""
    return (
        settings.get("heads", settings.get("num_attention_heads", tower.heads)),
        settings.get("activation", settings.get("hidden_act", tower.activation)),
        settings.get("epsilon", epsilon),
    )


def normal(x: np.ndarray, weight: np.ndarray, bias: np.ndarray, epsilon: float) -> np.ndarray:
    """Layer norm over the last axis."""
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight + bias


def attention(
    query: np.ndarray, key: np.ndarray, value: np.ndarray, heads: int, kept: np.ndarray | None = None
) -> np.ndarray:
    """Softmax attention of [N, L, W] in `heads` parts; keys where `kept` [N, L] is false count for nothing."""
    split = [x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3) for x in (query, key, value)]
    scores = split[0] @ split[1].swapaxes(-1, -2) / np.sqrt(split[0].shape[-1])
    if kept is not None:
        scores = np.where(kept[:, None, None], scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = scores / scores.sum(-1, keepdims=True) @ split[2]
    return mixed.transpose(0, 2, 1, 3).reshape(query.shape)


def active(x: np.ndarray, name: str) -> np.ndarray:
    """An activation by its usual name."""
    if name == "relu":
        return np.maximum(x, 0)
    if name == "quick_gelu":
        return x / (1 + np.exp(-1.702 * x))
    import paddle

    return 0.5 * x * (1 + paddle.erf(paddle.to_tensor(x / np.sqrt(2))).numpy())

"""What weights in another project's layout compute by themselves, to compare a converted model with.

Where the project's library is installed its own model is run, with the weights put in from our readers (a library may
execute a pickle, so it opens no file). Else plain NumPy computes it from the source's keys: it shares no code with the
layouts, so a mistake there cannot hide here.
"""

import importlib.util
from typing import NamedTuple

import numpy as np

from ..checkpoints.tensor_file import Float32View

PADDLE_BLOCK = {
    "q": "encoder.layers.{}.self_attn.q_proj", "k": "encoder.layers.{}.self_attn.k_proj",
    "v": "encoder.layers.{}.self_attn.v_proj", "o": "encoder.layers.{}.self_attn.out_proj",
    "n1": "encoder.layers.{}.norm1", "up": "encoder.layers.{}.linear1", "down": "encoder.layers.{}.linear2",
    "n2": "encoder.layers.{}.norm2", "first": "embeddings.layer_norm",
}  # fmt: skip
TORCH_BLOCK = {
    "q": "encoder.layer.{}.attention.self.query", "k": "encoder.layer.{}.attention.self.key",
    "v": "encoder.layer.{}.attention.self.value", "o": "encoder.layer.{}.attention.output.dense",
    "n1": "encoder.layer.{}.attention.output.LayerNorm", "up": "encoder.layer.{}.intermediate.dense",
    "down": "encoder.layer.{}.output.dense", "n2": "encoder.layer.{}.output.LayerNorm",
    "first": "embeddings.LayerNorm",
}  # fmt: skip


class Inputs(NamedTuple):
    """Fixed inputs of a check: ids int64 [N, L] padded with 0 and pixels float32 [1, 3, S, S]; None for no tower."""

    ids: np.ndarray | None
    pixels: np.ndarray | None


class Result(NamedTuple):
    """Embeddings {"image": [N, D], "text": [N, D]} of the towers that ran, how they were computed, and versions."""

    embeds: dict
    how: str
    versions: dict


class CannotRun(Exception):
    """The reason why a source cannot be run here."""


def fixed_inputs(config):
    """The Inputs for a model of this configuration; the same on every machine."""
    ids = pixels = None
    rng = np.random.default_rng(20221)
    if config.text_tower is not None:
        ids = np.zeros((4, config.max_length), np.int64)
        for row, length in zip(ids, (3, 5, max(3, config.max_length // 2), config.max_length), strict=True):
            row[:length] = rng.integers(1, config.text_tower.vocab_size, length)
    if config.image_tower is not None:
        side = config.image_tower.image_size
        pixels = rng.standard_normal((1, 3, side, side), dtype=np.float32)
    return Inputs(ids, pixels)


def run_source(source, layout_name, config, inputs) -> Result:
    """The Result of a source (an opened file or folder) in a layout; CannotRun where this project cannot run it.

    config: our ModelConfig of it, for what the source does not say of itself.
    """
    if layout_name not in RUNNERS:
        raise CannotRun(f"no model of the layout {layout_name} runs here")
    library, plain = RUNNERS[layout_name]
    state = Float32View(source.state)
    if source.settings:
        try:
            return library(state, source.settings, inputs)
        except CannotRun:
            pass
    return Result(plain(state, source.settings, config, inputs), "NumPy, from the source's own keys",
                  {"numpy": np.__version__})  # fmt: skip


def need(*modules):
    """CannotRun unless all these can be imported."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise CannotRun(f"{module} is not installed")


def paddlenlp_ernie_vil(state, settings, inputs):
    need("paddlenlp")
    import paddlenlp
    from paddlenlp.transformers import ErnieViLConfig, ErnieViLModel

    prefix = "ernie_vil." if any(key.startswith("ernie_vil.") for key in state) else ""
    if f"{prefix}temperature" not in state:
        raise CannotRun("it is one tower")
    model = filled(lambda: ErnieViLModel(ErnieViLConfig.from_dict(dict(settings))), state, prefix)
    import paddle

    with paddle.no_grad():
        text = model.get_text_features(paddle.to_tensor(inputs.ids))
        image = model.get_image_features(paddle.to_tensor(inputs.pixels))
    return Result({"text": text.numpy(), "image": image.numpy()}, "paddlenlp's ErnieViLModel",
                  {"paddlenlp": paddlenlp.__version__})  # fmt: skip


def paddlenlp_ernie(state, settings, inputs):
    need("paddlenlp")
    import paddle
    import paddlenlp
    from paddlenlp.transformers import ErnieConfig, ErnieModel

    prefix = "ernie." if any(key.startswith("ernie.") for key in state) else ""
    model = filled(lambda: ErnieModel(ErnieConfig.from_dict(dict(settings))), state, prefix)
    with paddle.no_grad():
        pooled = model(paddle.to_tensor(inputs.ids))[1]
    return Result({"text": pooled.numpy()}, "paddlenlp's ErnieModel", {"paddlenlp": paddlenlp.__version__})


def filled(build, state, prefix):
    """A Paddle model in evaluation mode whose parameters are the tensors under `prefix`."""
    import paddle

    with paddle.utils.unique_name.guard():
        model = build()
    for key, parameter in model.state_dict().items():
        parameter.set_value(state[prefix + key])
    model.eval()
    return model


def transformers_text(state, settings, inputs):
    need("torch", "transformers")
    import torch
    import transformers

    kinds = {"ernie": (transformers.ErnieConfig, transformers.ErnieModel),
             "bert": (transformers.BertConfig, transformers.BertModel)}  # fmt: skip
    if settings.get("model_type") not in kinds:
        raise CannotRun("its config.json names no model type")
    config, kind = kinds[settings["model_type"]]
    model = kind(config.from_dict(dict(settings))).eval()
    prefix = next(key for key in state if key.endswith("embeddings.word_embeddings.weight"))[:-33]
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(tensor(state, prefix + key)))
        ids = torch.from_numpy(inputs.ids)
        pooled = model(ids, attention_mask=(ids != 0).long()).pooler_output
    return Result({"text": pooled.numpy()}, f"transformers' {kind.__name__}",
                  {"transformers": transformers.__version__, "torch": torch.__version__})  # fmt: skip


def tensor(state, key):
    """A tensor, under its old name of TensorFlow's time where it has that."""
    old = {"LayerNorm.weight": "LayerNorm.gamma", "LayerNorm.bias": "LayerNorm.beta"}
    for new, name in old.items():
        if key not in state and key.endswith(new):
            key = key.removesuffix(new) + name
    return state[key]


def plain_ernie(state, settings, config, inputs):
    return {"text": plain_text(state, prefix_of(state), settings, config.text_tower, inputs.ids, PADDLE_BLOCK, False)}


def plain_hugging_face(state, settings, config, inputs):
    return {"text": plain_text(state, prefix_of(state), settings, config.text_tower, inputs.ids, TORCH_BLOCK, True)}


def plain_ernie_vil(state, settings, config, inputs):
    found = {}
    if inputs.ids is not None:
        found["text"] = plain_text(state, prefix_of(state), settings.get("text_config", settings), config.text_tower,
                                   inputs.ids, PADDLE_BLOCK, False)  # fmt: skip
    if inputs.pixels is not None:
        prefix = next(key for key in state if key.endswith("conv1.weight"))[: -len("conv1.weight")]
        found["image"] = plain_vision(state, prefix, settings.get("vision_config", settings), config.image_tower,
                                      inputs.pixels)  # fmt: skip
    return found


def prefix_of(state):
    word = "embeddings.word_embeddings.weight"
    return next(key for key in state if key.endswith(word))[: -len(word)]


def plain_text(state, prefix, settings, tower, ids, names, torch):
    """tanh(pooler(token 0)) [N, D] of a post-LN encoder, in float64; padding (id 0) is not attended to."""
    heads, activation = settings.get("num_attention_heads", tower.heads), settings.get("hidden_act", tower.activation)

    def linear(x, name):
        weight = state[f"{prefix}{name}.weight"].astype(np.float64)
        return x @ (weight.T if torch else weight) + state[f"{prefix}{name}.bias"]

    def norm(x, name):
        return normal(x, tensor(state, f"{prefix}{name}.weight"), tensor(state, f"{prefix}{name}.bias"), tower.epsilon)

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


def plain_vision(state, prefix, settings, tower, pixels):
    """Normalised class token [N, D] of a pre-LN vision transformer, in float64."""
    heads, activation = settings.get("num_attention_heads", tower.heads), settings.get("hidden_act", tower.activation)

    def linear(x, name):
        return x @ state[f"{prefix}{name}.weight"].astype(np.float64) + state[f"{prefix}{name}.bias"]

    def norm(x, name):
        return normal(x, state[f"{prefix}{name}.weight"], state[f"{prefix}{name}.bias"], tower.epsilon)

    kernel = state[f"{prefix}conv1.weight"].astype(np.float64)
    side, count = kernel.shape[-1], pixels.shape[-1] // kernel.shape[-1]
    cells = pixels.reshape(len(pixels), 3, count, side, count, side)
    tokens = np.einsum("bchiwj,dcij->bhwd", cells, kernel, optimize=True).reshape(len(pixels), count * count, -1)
    first = np.broadcast_to(state[f"{prefix}class_embedding"], (len(pixels), 1, tokens.shape[-1]))
    x = np.concatenate([first, tokens], axis=1) + state[f"{prefix}positional_embedding.weight"]
    x = norm(x, "ln_pre")
    for index in range(tower.depth):
        block = f"transformer.layers.{index}"
        y = norm(x, f"{block}.norm1")
        parts = (linear(y, f"{block}.self_attn.{name}_proj") for name in "qkv")
        x = x + linear(attention(*parts, heads), f"{block}.self_attn.out_proj")
        y = active(linear(norm(x, f"{block}.norm2"), f"{block}.linear1"), activation)
        x = x + linear(y, f"{block}.linear2")
    return norm(x[:, 0], "ln_post")


def normal(x, weight, bias, epsilon):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight + bias


def attention(query, key, value, heads, kept=None):
    """Softmax attention of [N, L, W] in `heads` parts; keys where `kept` [N, L] is false count for nothing."""
    split = [x.reshape(*x.shape[:2], heads, -1).transpose(0, 2, 1, 3) for x in (query, key, value)]
    scores = split[0] @ split[1].swapaxes(-1, -2) / np.sqrt(split[0].shape[-1])
    if kept is not None:
        scores = np.where(kept[:, None, None], scores, -np.inf)
    scores = np.exp(scores - scores.max(-1, keepdims=True))
    mixed = scores / scores.sum(-1, keepdims=True) @ split[2]
    return mixed.transpose(0, 2, 1, 3).reshape(query.shape)


def active(x, name):
    """An activation by its usual name."""
    if name == "relu":
        return np.maximum(x, 0)
    if name == "quick_gelu":
        return x / (1 + np.exp(-1.702 * x))
    import paddle

    return 0.5 * x * (1 + paddle.erf(paddle.to_tensor(x / np.sqrt(2))).numpy())


RUNNERS = {
    "PaddleNLP ErnieViL": (paddlenlp_ernie_vil, plain_ernie_vil),
    "PaddleNLP ERNIE": (paddlenlp_ernie, plain_ernie),
    "Hugging Face ERNIE or BERT": (transformers_text, plain_hugging_face),
}
"""{layout: (its library's model, NumPy)}."""

"""What weights in another project's layout compute by themselves, to compare a converted model with.

Where the project's library is installed its own model is run, with the weights put in from our readers (a library may
execute a pickle, so it opens no file). Else `plain_models` computes it.
"""

import dataclasses
import importlib.metadata
import importlib.util
from typing import NamedTuple

import numpy as np

from ..checkpoints.formats.lazy_tensors import Float32View
from ..checkpoints.layouts import clip, efficientnet, ernie, ernie_vil, hugging_face, paddleclas_vit
from ..checkpoints.layouts.recognise import OPTIONS
from . import numpy_models as plain

SMALL = 128
"""Side in pixels of the image that convolutional towers are checked with, at most."""


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
            row[:length] = rng.integers(1, config.text_tower.vocab_size, len(row[:length]))
    if config.image_tower is not None:
        side = config.image_tower.image_size
        if config.image_tower.kind == "efficientnet":
            side = min(side, SMALL)  # it runs at any size, so a large one costs less
        pixels = rng.standard_normal((1, 3, side, side), dtype=np.float32)
    return Inputs(ids, pixels)


def run_source(source, layout_name, config, inputs) -> Result:
    """The Result of a source (an opened file or folder) in a layout; CannotRun where this project cannot run it.

    config: our ModelConfig of it, for what the source does not say of itself.
    """
    if layout_name not in RUNNERS:
        raise CannotRun(f"no model of the layout {layout_name} runs here")
    library, in_numpy = RUNNERS[layout_name]
    state, said = Float32View(source.state), source.settings
    how = "NumPy, from the source's own keys"
    if library is not None and said and not set(OPTIONS) & set(said):
        try:
            return library(state, said, inputs)
        except CannotRun:
            pass
        except Exception as error:  # of a library that this project does not control
            how += f" (its library failed: {type(error).__name__})"
    try:
        with np.errstate(all="ignore"):  # embeddings that overflow are said to do so later
            found = in_numpy(state, said, config, inputs)
    except ImportError as error:  # of a library that is there in part
        raise CannotRun(f"its library does not load ({error})") from None
    return found if isinstance(found, Result) else Result(found, how, {"numpy": np.__version__})


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
    return Result(
        {"text": text.numpy(), "image": image.numpy()},
        "paddlenlp's ErnieViLModel",
        {"paddlenlp": paddlenlp.__version__},
    )


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

    kinds = {
        "ernie": (transformers.ErnieConfig, transformers.ErnieModel),
        "bert": (transformers.BertConfig, transformers.BertModel),
    }
    if settings.get("model_type") not in kinds:
        raise CannotRun("its config.json names no model type")
    config, kind = kinds[settings["model_type"]]
    model = kind(config.from_dict(dict(settings))).eval()
    prefix = next(key for key in state if key.endswith("embeddings.word_embeddings.weight"))[:-33]
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(plain.tensor(state, prefix + key)))
        ids = torch.from_numpy(inputs.ids)
        pooled = model(ids, attention_mask=(ids != 0).long()).pooler_output
    return Result(
        {"text": pooled.numpy()},
        f"transformers' {kind.__name__}",
        {"transformers": transformers.__version__, "torch": torch.__version__},
    )


def plain_ernie(state, settings, config, inputs):
    tower = config.text_tower
    return {
        "text": plain.plain_text(state, plain.prefix_of(state), settings, tower, inputs.ids, plain.PADDLE_BLOCK, 1e-12)
    }


def plain_hugging_face(state, settings, config, inputs):
    epsilon = settings.get("layer_norm_eps", 1e-12)
    prefix, tower = plain.prefix_of(state), config.text_tower
    return {"text": plain.plain_text(state, prefix, settings, tower, inputs.ids, plain.TORCH_BLOCK, epsilon)}


def plain_ernie_vil(state, settings, config, inputs):
    found = {}
    if inputs.ids is not None:
        found |= plain_ernie(state, settings.get("text_config", settings), config, inputs)
    if inputs.pixels is not None:
        said = settings.get("vision_config", settings)
        heads, activation, epsilon = plain.asked(said, config.image_tower, said.get("layer_norm_eps", 1e-6))
        tower = dataclasses.replace(config.image_tower, heads=heads, activation=activation, epsilon=epsilon)
        prefix = plain.prefix_of(state, "conv1.weight")
        found["image"] = plain.plain_vit(state, prefix, plain.PADDLENLP_VIT, tower, inputs.pixels)
    return found


def plain_clip(state, settings, config, inputs):
    flash = any(".attn.Wqkv." in key for key in state)
    names, prefix = plain.FLASH_VIT if flash else plain.CLIP_VIT, plain.prefix_of(state, "conv1.weight")
    return {"image": plain.plain_vit(state, prefix, names, config.image_tower, inputs.pixels)}


def plain_transformers_clip(state, settings, config, inputs):
    return {"image": plain.plain_vit(state, "vision_model.", plain.TRANSFORMERS_VIT, config.image_tower, inputs.pixels)}


def plain_paddleclas_vit(state, settings, config, inputs):
    if not any(key.endswith(".attn.qkv.bias") for key in state):
        raise CannotRun("its attention has a scale of its own")
    return {"image": plain.plain_vit(state, "", plain.PADDLECLAS_VIT, config.image_tower, inputs.pixels)}


def paddleclas_efficientnet(state, settings, config, inputs):
    need("paddleclas")
    import paddle
    from paddleclas.ppcls.arch.backbone.model_zoo import efficientnet

    build = getattr(efficientnet, f"EfficientNet{config.image_tower.variant.upper()}", None)
    if build is None:
        raise CannotRun(f"paddleclas has no EfficientNet{config.image_tower.variant.upper()}")
    with paddle.utils.unique_name.guard():
        model = build(padding_type=config.image_tower.padding.upper())
    for key, parameter in model.state_dict().items():
        if key in state:  # the classifier is not run
            parameter.set_value(state[key])
    model.eval()
    with paddle.no_grad():
        pooled = model._pool(model._conv(model._ef(paddle.to_tensor(inputs.pixels)))).flatten(1)
    return Result(
        {"image": pooled.numpy()}, "paddleclas's EfficientNet", {"paddleclas": importlib.metadata.version("paddleclas")}
    )


def timm_efficientnet(state, settings, config, inputs):
    need("torch", "timm")
    import timm
    import torch

    name = settings.get("architecture") or f"tf_efficientnet_{config.image_tower.variant}"
    model = timm.create_model(name, pretrained=False, num_classes=0, bn_eps=config.image_tower.epsilon).eval()
    with torch.no_grad():
        for key, value in model.state_dict().items():
            if value.is_floating_point():
                value.copy_(torch.from_numpy(state[key]))
        pooled = model(torch.from_numpy(inputs.pixels))
    return Result(
        {"image": pooled.numpy()}, "timm's EfficientNet", {"timm": timm.__version__, "torch": torch.__version__}
    )


RUNNERS = {
    ernie_vil.NAME: (paddlenlp_ernie_vil, plain_ernie_vil),
    ernie.NAMES.layout: (paddlenlp_ernie, plain_ernie),
    hugging_face.NAMES.layout: (transformers_text, plain_hugging_face),
    clip.LAYOUTS[0].name: (None, plain_clip),
    clip.LAYOUTS[1].name: (None, plain_transformers_clip),
    paddleclas_vit.NAME: (None, plain_paddleclas_vit),
    paddleclas_vit.CLIP_NAME: (None, plain_paddleclas_vit),
    efficientnet.PADDLECLAS_NAME: (None, paddleclas_efficientnet),
    efficientnet.TIMM_NAME: (None, timm_efficientnet),
}
"""{layout: (its library's model for a source with settings or None, NumPy or else a library's model)}."""

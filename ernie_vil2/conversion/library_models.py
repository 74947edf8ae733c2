"""Weights of other projects run by those projects' own libraries; each module is asked for when it is needed."""

import importlib.metadata
import importlib.util
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from ..checkpoints.fill import fill_parameters
from ..config.model import ModelConfig
from . import numpy_models as plain
from .fixed_inputs import CannotRun, Inputs, Result
from .numpy_models import Settings, State

if TYPE_CHECKING:
    import paddle


def need(*modules: str) -> None:
    """CannotRun unless all these can be imported."""
    for module in modules:
        if importlib.util.find_spec(module) is None:
            raise CannotRun(f"{module} is not installed")


def paddlenlp_ernie_vil(state: State, settings: Settings, inputs: Inputs) -> Result:
    """Both towers by PaddleNLP's ErnieViLModel."""
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


def paddlenlp_ernie(state: State, settings: Settings, inputs: Inputs) -> Result:
    """The text tower by PaddleNLP's ErnieModel."""
    need("paddlenlp")
    import paddle
    import paddlenlp
    from paddlenlp.transformers import ErnieConfig, ErnieModel

    prefix = "ernie." if any(key.startswith("ernie.") for key in state) else ""
    model = filled(lambda: ErnieModel(ErnieConfig.from_dict(dict(settings))), state, prefix)
    with paddle.no_grad():
        pooled = model(paddle.to_tensor(inputs.ids))[1]
    return Result({"text": pooled.numpy()}, "paddlenlp's ErnieModel", {"paddlenlp": paddlenlp.__version__})


def filled(build: Callable[[], "paddle.nn.Layer"], state: State, prefix: str) -> "paddle.nn.Layer":
    """A Paddle model in evaluation mode whose parameters are the tensors under `prefix`."""
    import paddle

    with paddle.utils.unique_name.guard():
        model = build()
    own = model.state_dict()
    fill_or_refuse(own, state, {key: prefix + key for key in own})
    model.eval()
    return model


def fill_or_refuse(own: "Mapping[str, paddle.Tensor]", state: State, names: Mapping[str, str] | None = None) -> None:
    """Set the parameters of a library's model; CannotRun names those that do not fit."""
    wrong = fill_parameters(own, state, names=names)
    if wrong:
        raise CannotRun(f"the library's model does not take these weights ({'; '.join(map(str, wrong[:3]))})")


def transformers_text(state: State, settings: Settings, inputs: Inputs) -> Result:
    """The text tower by transformers' ErnieModel or BertModel, as its config.json says."""
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


def paddleclas_efficientnet(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Result:
    """The image tower by PaddleClas's EfficientNet, without its classifier."""
    need("paddleclas")
    import paddle
    from paddleclas.ppcls.arch.backbone.model_zoo import efficientnet

    build = getattr(efficientnet, f"EfficientNet{config.image_tower.variant.upper()}", None)
    if build is None:
        raise CannotRun(f"paddleclas has no EfficientNet{config.image_tower.variant.upper()}")
    with paddle.utils.unique_name.guard():
        model = build(padding_type=config.image_tower.padding.upper())
    fill_or_refuse({key: value for key, value in model.state_dict().items() if key in state}, state)  # no classifier
    model.eval()
    with paddle.no_grad():
        pooled = model._pool(model._conv(model._ef(paddle.to_tensor(inputs.pixels)))).flatten(1)
    return Result(
        {"image": pooled.numpy()}, "paddleclas's EfficientNet", {"paddleclas": importlib.metadata.version("paddleclas")}
    )


def timm_efficientnet(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Result:
    """The image tower by timm's EfficientNet, without its classifier."""
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

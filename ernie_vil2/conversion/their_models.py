"""What weights in another project's layout compute by themselves, to compare a converted model with.

Where the project's library is installed its own model is run, with the weights put in from our readers (a library may
execute a pickle, so it opens no file). Else `numpy_models` computes it.
"""

import dataclasses

import numpy as np

from ..checkpoints.formats.lazy_tensors import Float32View
from ..checkpoints.layouts import clip, efficientnet, ernie, ernie_vil, hugging_face, paddleclas_vit
from ..checkpoints.layouts.any_source import Source
from ..checkpoints.layouts.recognise import OPTIONS
from ..config.model import ModelConfig
from . import numpy_models as plain
from .fixed_inputs import CannotRun, Inputs, Result
from .library_models import (
    paddleclas_efficientnet,
    paddlenlp_ernie,
    paddlenlp_ernie_vil,
    timm_efficientnet,
    transformers_text,
)
from .numpy_models import Settings, State

Embeds = dict[str, np.ndarray]
"""{"image": [N, D], "text": [N, D]} of the towers that ran"""


def run_source(source: Source, layout_name: str, config: ModelConfig, inputs: Inputs) -> Result:
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


def plain_ernie(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Embeds:
    """The text tower in PaddleNLP's keys."""
    tower = config.text_tower
    return {
        "text": plain.plain_text(state, plain.prefix_of(state), settings, tower, inputs.ids, plain.PADDLE_BLOCK, 1e-12)
    }


def plain_hugging_face(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Embeds:
    """The text tower in transformers' keys."""
    epsilon = settings.get("layer_norm_eps", 1e-12)
    prefix, tower = plain.prefix_of(state), config.text_tower
    return {"text": plain.plain_text(state, prefix, settings, tower, inputs.ids, plain.TORCH_BLOCK, epsilon)}


def plain_ernie_vil(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Embeds:
    """Either tower or both in the keys of PaddleNLP's ErnieViLModel."""
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


def plain_clip(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Embeds:
    """The image tower in the keys of OpenAI's CLIP."""
    flash = any(".attn.Wqkv." in key for key in state)
    names, prefix = plain.FLASH_VIT if flash else plain.CLIP_VIT, plain.prefix_of(state, "conv1.weight")
    return {"image": plain.plain_vit(state, prefix, names, config.image_tower, inputs.pixels)}


def plain_transformers_clip(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Embeds:
    """The image tower in the keys of transformers' CLIP."""
    return {"image": plain.plain_vit(state, "vision_model.", plain.TRANSFORMERS_VIT, config.image_tower, inputs.pixels)}


def plain_paddleclas_vit(state: State, settings: Settings, config: ModelConfig, inputs: Inputs) -> Embeds:
    """The image tower in PaddleClas's keys."""
    if not any(key.endswith(".attn.qkv.bias") for key in state):
        raise CannotRun("its attention has a scale of its own")
    return {"image": plain.plain_vit(state, "", plain.PADDLECLAS_VIT, config.image_tower, inputs.pixels)}


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

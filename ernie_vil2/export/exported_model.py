"""The model that is exported: which of its weights, how long its texts, and what cannot leave by any target."""

import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ..checkpoints.model_directory import open_model
from ..config.model import ModelConfig
from ..config.run import LoraConfig
from ..config.towers import LIBRARIES
from ..conversion.check import network_of
from ..data.tokenizer import Tokenizer
from ..errors import ConfigError, nearest
from ..files.run_folder import STATE
from ..inference.engines.choice import DYNAMIC
from ..inference.model import Model, load
from ..messages import brief, quoted
from ..models.lora import add_lora, merged_state
from ..schema import build
from ..training.distributed import Ranks
from ..training.resume import restore_parameters
from ..training.run_checkpoints import SUFFIX, Checkpoints

AVERAGE, TRAINED = "average", "trained"
WEIGHTS = (AVERAGE, TRAINED)
"""Of a checkpoint: the model to use, averaged where the run does that, or the parameters of the last step"""
PARAMETERS = "parameters"
"""The group of a checkpoint that holds the trained parameters, where the model to use is another one"""
OWN_FORMS = {
    "paddleclas": "convert its weights with ernie-vil2 convert, and train with a tower of kind vit or efficientnet",
    "paddlenlp": "convert its weights with ernie-vil2 convert, and train with a tower of kind ernie",
}
"""What to do about a tower that another library builds"""


def exportable_config(
    path: str | os.PathLike,
    vocab: str | os.PathLike | None = None,
    weights: str = AVERAGE,
    max_length: int | None = None,
) -> ModelConfig:
    """The configuration of what `exported_model` gives of the same arguments; UserError for what cannot be exported.

    Of the weights no more is read than what tensors there are.
    """
    if weights not in WEIGHTS:
        meant = nearest(weights, WEIGHTS) or AVERAGE
        raise ConfigError(brief(f"--weights is {quoted(weights)}; did you mean {meant}?"))
    _, config, _ = open_model(path, vocab)
    for kind in ("image", "text"):
        if kind not in config.towers():
            raise ConfigError(
                f"{path} has no {kind} tower, and an export is of both; give a model that was trained with both"
            )
        name = config.towers()[kind].kind
        if name in LIBRARIES:
            raise ConfigError(
                f"the {kind} tower of {path} is of kind {name}, which another library builds, so it is not exported; "
                f"{OWN_FORMS[name]}"
            )
    if weights == TRAINED and not (Path(path) / f"{PARAMETERS}{SUFFIX}").is_file():
        raise ConfigError(
            f"{path} has one set of weights, no average beside the trained ones; leave out --weights, or give a "
            "checkpoint of a run with train.ema"
        )
    return with_length(config, max_length)


def with_length(config: ModelConfig, max_length: int | None) -> ModelConfig:
    """A configuration of texts of at most `max_length` tokens; ConfigError for a length that its text tower lacks."""
    if max_length is None or max_length == config.max_length:
        return config
    if max_length > config.text_tower.positions:
        raise ConfigError(
            f"--max-length {max_length} is beyond the {config.text_tower.positions} positions of the text tower; give "
            f"at most {config.text_tower.positions}"
        )
    if config.fixed_length:
        raise ConfigError(
            f"--max-length {max_length} would change every embedding of a text: this model pads each to "
            f"{config.max_length} tokens and reads the padding; leave it out"
        )
    return replace(config, max_length=max_length)


def exported_model(
    path: str | os.PathLike,
    vocab: str | os.PathLike | None = None,
    weights: str = AVERAGE,
    max_length: int | None = None,
) -> Model:
    """The Model to export, in dynamic mode and fp32.

    path, vocab: as in `load`. weights: one of WEIGHTS; low-rank updates are merged into
    both. max_length: of its texts, by default the model's own.
    """
    model = load(path, vocab, engine=DYNAMIC)
    config = with_length(model.config, max_length)
    network = model.network
    if weights == TRAINED:
        network = network_of(trained_state(Path(path), model), model.config)
    network.config = config
    tokenizer = Tokenizer(
        open_model(path, vocab)[2], config.max_length, config.lower_case, config.tokenizer, config.fixed_length
    )
    return Model(network, tokenizer, model.limits)


def trained_state(checkpoint: Path, model: Model) -> Mapping[str, np.ndarray]:
    """{key: float32 array} of the parameters of the last step of a checkpoint, low-rank updates merged.

    Its files are compared with their checksums first. The network of `model`, which is that of the checkpoint, is
    taken for it.
    """
    saved = Checkpoints(checkpoint.parent, Ranks()).load(checkpoint)
    run: Any = saved.state["run"]
    lora = run.get("lora") if isinstance(run, dict) else None
    add_lora(model.network, build(LoraConfig, lora or {}, str(checkpoint / STATE), "lora"))
    restore_parameters(model.network, saved.groups[PARAMETERS], checkpoint)
    return merged_state(model.network)

"""Weights that PaddleNLP and PaddleClas publish, for the towers that they build; they are read by the safe reader."""

import os
from pathlib import Path

from paddle import nn

from ...checkpoints.fill import fill_parameters
from ...checkpoints.formats.paddle_file import open_pdparams
from ...checkpoints.libraries import paddleclas, paddlenlp
from ...errors import ConfigError
from ...models.dual_encoder import DualEncoder

DOWNLOAD = "download"
"""Value of image_tower.pretrained for what PaddleClas publishes"""


def take_published(model: DualEncoder, tower: str, notes: list[str]) -> None:
    """Fill the backbone or encoder of a tower, "image" or "text", with its library's weights; what they lack and what
    they have beyond it is noted. ConfigError when it does not fit, CheckpointError when the file cannot be read."""
    if tower == "text":
        layers = model.text_model.encoder
        path = paddlenlp.published_weights(model.text_model.source, model.text_model.model_class)
        take_file(layers, path, notes, layers.base_model_prefix + ".", spare="pooler.")
    else:
        named = model.config.image_tower.pretrained
        path = paddleclas.published_weights(model.visual.name) if named == DOWNLOAD else named
        take_file(model.visual.backbone, path, notes)


def take_file(
    layers: nn.Layer, path: str | os.PathLike, notes: list[str], prefix: str = "", spare: str | tuple[str, ...] = ()
) -> None:
    """Set every tensor of the layers from a `.pdparams` whose keys may begin with `prefix`; those that begin with
    `spare` may be missing, and then start at random. What is missing or not used goes into `notes`; ConfigError for
    another file and for tensors that do not fit."""
    if Path(path).suffix != ".pdparams":
        raise ConfigError(f"{path} is not a .pdparams file; give the weights in Paddle's format")
    state, own = open_pdparams(path), layers.state_dict()
    names = {key.removeprefix(prefix): key for key in state}
    wrong = fill_parameters(own, state, names=names, optional=spare)
    if wrong:
        listed = "; ".join(map(str, wrong))
        raise ConfigError(f"{path} does not fit this tower: {listed}; give the weights of the same model")
    lacking = [f"{key} is missing" for key in own if key not in names]
    unused = [names[key] for key in names if key not in own]
    if lacking:
        notes.append(f"{path}: {', '.join(lacking)}, so it starts at random")
    if unused:
        notes.append(f"{path}: not used by the tower: {', '.join(unused[:8])}{' ...' * (len(unused) > 8)}")

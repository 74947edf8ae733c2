"""Weights that PaddleNLP and PaddleClas publish, for the towers that they build; they are read by the safe reader."""

from pathlib import Path

import numpy as np
import paddle

from ...checkpoints.formats.paddle_file import open_pdparams
from ...errors import ConfigError

DOWNLOAD = "download"
"""Value of image_tower.pretrained for what PaddleClas publishes"""


def take_published(model, tower, notes):
    """Fill the backbone or encoder of a tower, "image" or "text", with its library's weights; what they lack and what
    they have beyond it is noted. ConfigError when it does not fit, CheckpointError when the file cannot be read."""
    if tower == "text":
        from ...models.towers.paddlenlp import published_weights

        layers, path = model.text_model.encoder, published_weights(model.text_model)
        fill(layers, path, notes, layers.base_model_prefix + ".", spare="pooler.")
    else:
        from ...models.towers.paddleclas import published_weights

        named = model.config.image_tower.pretrained
        path = published_weights(model.visual.name) if named == DOWNLOAD else named
        fill(model.visual.backbone, path, notes)


def fill(layers, path, notes, prefix="", spare=None):
    """Set every tensor of the layers from a `.pdparams` whose keys may begin with `prefix`; those that begin with
    `spare` may be missing, and then start at random."""
    if Path(path).suffix != ".pdparams":
        raise ConfigError(f"{path} is not a .pdparams file; give the weights in Paddle's format")
    state = open_pdparams(path)
    names = {key.removeprefix(prefix): key for key in state}
    wrong, lacking = [], []
    for key, value in layers.state_dict().items():
        if key not in names:
            (lacking if spare and key.startswith(spare) else wrong).append(f"{key} is missing")
            continue
        array = np.asarray(state[names[key]])
        if list(array.shape) != list(value.shape):
            wrong.append(f"{key} is {list(array.shape)} there and {list(value.shape)} here")
            continue
        with paddle.no_grad():
            value.set_value(array.astype(np.float32))
    if wrong:
        raise ConfigError(f"{path} does not fit this tower: {'; '.join(wrong)}; give the weights of the same model")
    unused = [names[key] for key in names if key not in layers.state_dict()]
    if lacking:
        notes.append(f"{path}: {', '.join(lacking)}, so it starts at random")
    if unused:
        notes.append(f"{path}: not used by the tower: {', '.join(unused[:8])}{' ...' * (len(unused) > 8)}")

"""The model a run starts from: random values, or towers of converted weights fitted to this run's sizes."""

import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import paddle

from ..checkpoints.store import open_model
from ..data.scenes import build_vocab
from ..data.text import Tokenizer
from ..errors import ConfigError
from ..models.dual_encoder import new_model
from ..models.positions import resize_grid, resize_rows

TOWERS = {"text": "text_model.", "image": "visual."}
COMPARED = ("kind", "width", "depth", "heads", "mlp_ratio", "activation", "epsilon", "projection")
IMAGE_COMPARED = ("patch_size", "patch_bias", "pre_norm")
GRID, ROWS = "visual.positional_embedding", "text_model.pos_emb.weight"


def prepare_vocab(config, folder):
    """The vocabulary file of a run, copied or built into `folder`; ConfigError when none is known."""
    target = Path(folder) / "vocab.txt"
    if config.data.vocab:
        key, source = "data.vocab", Path(config.data.vocab)
    elif config.init.text:
        key, source = "init.text", Path(config.init.text) / "vocab.txt"
    elif is_scenes(config.data.train):
        build_vocab(target)
        return target
    else:
        raise ConfigError("data.vocab is not set; name the vocabulary file, for example the release's vocab.txt")
    if not source.is_file():
        raise ConfigError(f"the vocabulary {source} does not exist; correct {key}")
    if source.resolve() != target.resolve():
        shutil.copyfile(source, target)
    return target


def check_init(config, tokenizer):
    """ConfigError, before a model is built, when `init` names weights that mean something else than this run does."""
    different = []
    for tower, path in (("text", config.init.text), ("image", config.init.image)):
        if not path:
            continue
        _, theirs, vocab = open_model(path)
        name = f"{tower}_tower"
        if tower not in theirs.towers():
            raise ConfigError(f"init.{tower}: {path} has no {tower} tower; name a model directory that has one")
        there, here = getattr(theirs, name), getattr(config.model, name)
        pairs = [
            (f"{name}.{key}", getattr(there, key, None), getattr(here, key, None))
            for key in COMPARED + (IMAGE_COMPARED if tower == "image" else ())
        ]
        if tower == "image":
            pairs.append(("pixels (size apart)", replace(theirs.pixels, size=0), replace(config.model.pixels, size=0)))
        else:
            pairs.append(("lower_case", theirs.lower_case, config.model.lower_case))
            if Tokenizer(vocab, lower_case=theirs.lower_case).vocab != tokenizer.vocab:
                pairs.append(("the vocabulary", str(vocab), "another one"))
        different += [f"{key} is {there} in {path} and {here} here" for key, there, here in pairs if there != here]
    if different:
        raise ConfigError("init does not fit model: " + "; ".join(different) + "; make them equal")


def is_scenes(spec):
    """Whether a source is the embedded data set."""
    return (isinstance(spec, dict) and spec.get("kind") == "scenes") or (
        isinstance(spec, str) and spec.split(":")[0] == "scenes"
    )


def start_model(config, objective):
    """A DualEncoder for a RunConfig and its objective: random values by seed, then the towers that `init` names."""
    model = new_model(config.model, objective.groups, config.seed, objective.biased)
    for tower, path in (("text", config.init.text), ("image", config.init.image)):
        if path:
            take_tower(model, tower, path)
    return model


def take_tower(model, tower, path):
    """Copy one tower's weights from the model directory `path`; positions are interpolated to this model's sizes."""
    state, _, _ = open_model(path)
    prefix = TOWERS[tower]
    wrong = []
    for key, parameter in model.state_dict().items():
        if not key.startswith(prefix):
            continue
        if key not in state:
            wrong.append(f"{key} is missing")
            continue
        value = np.asarray(state[key], np.float32)
        if key == GRID and value.shape[-1] == parameter.shape[-1]:
            value = resize_grid(value, parameter.shape[1])
        if key == ROWS and value.shape[-1] == parameter.shape[-1]:
            value = resize_rows(value, parameter.shape[0])
        if list(value.shape) != list(parameter.shape):
            wrong.append(f"{key} is {list(value.shape)} there and {list(parameter.shape)} here")
            continue
        with paddle.no_grad():
            parameter.set_value(value)
    if wrong:
        raise ConfigError(
            f"init.{tower}: {path} does not fit model.{tower}_tower: " + "; ".join(wrong) + "; make the sizes equal"
        )

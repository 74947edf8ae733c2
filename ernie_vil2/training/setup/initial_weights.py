"""The model a run starts from: random values, or towers of converted weights fitted to this run's sizes."""

import math
import os
import re
from collections.abc import Callable
from operator import attrgetter

import numpy as np
import paddle.distributed as dist
from paddle import nn

from ...checkpoints.fill import Shape, fill_parameters
from ...checkpoints.model_directory import open_model
from ...checkpoints.release_layout import MOMENTUM, TEMPERATURE
from ...config.run import RunConfig
from ...config.tower_fields import Tower
from ...config.towers import KINDS, READING, SIDES
from ...data.tokenizer import Tokenizer
from ...errors import ConfigError
from ...models.dual_encoder import DualEncoder
from ...models.positions import resize_grid, resize_rows
from ...models.towers.batch_norm import synchronise
from ...systems.build import build
from ...systems.system import System
from .library_weights import take_published

GRID, ROWS = "visual.positional_embedding", "text_model.pos_emb.weight"


def check_init(config: RunConfig, tokenizer: Tokenizer) -> list[str]:
    """Notes on what `init` lacks; ConfigError, before a model is built, when it names weights that mean something else
    than this run does."""
    different, notes = [], []
    for tower, path in (("text", config.init.text), ("image", config.init.image)):
        if not path:
            continue
        _, theirs, vocab = open_model(path)
        name = f"{tower}_tower"
        if tower not in theirs.towers():
            raise ConfigError(f"init.{tower}: {path} has no {tower} tower; name a model directory that has one")
        there, here = getattr(theirs, name), getattr(config.model, name)
        other_head = has_other_head(there, here)
        if other_head:
            what = f"a projection to {there.projection}" if there.projection else "no projection"
            own = "starts at random" if here.projection else "is left out"
            notes.append(f"{path} has {what}, so that of the {tower} tower {own}{locked(config, tower, here)}")
        if there.kind != here.kind:
            different.append(f"{name}.kind is {there.kind} in {path} and {here.kind} here")
            continue
        compared = [key for key in KINDS[here.kind].compared if not (other_head and key == "projection")]
        keys = [*(f"{name}.{key}" for key in compared), *READING[tower]]
        pairs = [(key, attrgetter(key)(theirs), attrgetter(key)(config.model)) for key in keys]
        if tower == "text":
            if theirs.fixed_length and theirs.max_length != config.model.max_length:
                notes.append(
                    f"texts were padded to {theirs.max_length} ids in {path}, and are to {config.model.max_length}; "
                    "their embeddings depend on it, so they start elsewhere than those weights ended"
                )
            if Tokenizer(vocab, lower_case=theirs.lower_case).vocab != tokenizer.vocab:
                pairs.append(("the vocabulary", str(vocab), "another one"))
        different += [f"{key} is {there} in {path} and {here} here" for key, there, here in pairs if there != here]
    if different:
        raise ConfigError("init does not fit model: " + "; ".join(different) + "; make them equal")
    tower = config.model.image_tower
    if not (config.init.image or getattr(tower, "pretrained", None)) and getattr(tower, "batch_norm", "") == "frozen":
        notes.append(
            "the image tower starts at random with frozen statistics, which were never taken of any image; set "
            "init.image, or model.image_tower.batch_norm: train"
        )
    return notes


def locked(config: RunConfig, tower: str, here: Tower) -> str:
    """The rest of a note, where the projection of a tower starts at random and never learns."""
    rules = [rule for rule in config.optimizer.freeze if rule.until is None]
    held = here.projection and any(re.fullmatch(rule.match, f"{SIDES[tower]}proj.weight") for rule in rules)
    return ", and optimizer.freeze keeps it as it is; leave it out there" if held else ""


def has_other_head(there: Tower, here: Tower) -> bool:
    """Whether the projection of a tower cannot be taken: one of both has none, or another width."""
    return there.kind == here.kind and there.projection != here.projection


def start_system(config: RunConfig, notes: list[str], fresh: bool = True) -> System:
    """The system of a run: random values by seed, then the towers that `init` names, or what their library publishes
    (with notes on it in the list `notes`). fresh False: a checkpoint's weights come next.
    """
    system = build(config)
    model = system.model
    for tower, path in (("text", config.init.text), ("image", config.init.image)):
        if path:
            take_tower(model, tower, path)
        elif fresh and getattr(getattr(config.model, f"{tower}_tower"), "pretrained", None):
            take_published(model, tower, notes)
    if fresh and config.init.model:
        take_temperature(model, config.init.model)
        take_own_layers(model, config.init.model, notes, bool(config.lora.rank))
    if config.objective.temperature is not None:
        fix_temperatures(model, config.objective.temperature)
    if dist.is_initialized() and dist.get_world_size() > 1:
        synchronise(model)
    return system


def fix_temperatures(model: DualEncoder, value: float) -> None:
    """Give every pair of views the same temperature, which does not learn."""
    for group in model.groups:
        parameter = model.temperature(group).temperature_b
        parameter.set_value(np.array([-math.log(value)], np.float32))
        parameter.stop_gradient = True


def take_own_layers(model: nn.Layer, path: str | os.PathLike, notes: list[str], adapted: bool = False) -> None:
    """Copy the layers that a system has beside its towers from a model directory of the same system, whose absence is
    noted; ConfigError when they do not fit, and when `adapted` would leave absent ones at random."""
    beside = (*SIDES.values(), "contrastive_loss_")
    wanted = {key: value for key, value in model.state_dict().items() if not key.startswith(beside)}
    if not wanted:
        return
    state, theirs, _ = open_model(path)
    if theirs.system != model.config.system:
        if adapted:
            raise ConfigError(
                f"init.model: {path} is of the system {theirs.system}, so layers of the system {model.config.system} "
                "start at random, and with lora they would stay so; give init.text and init.image instead"
            )
        notes.append(
            f"{path} is of the system {theirs.system}, so {', '.join(wanted)} of the system {model.config.system} "
            "start at random"
        )
        return
    wrong = fill_parameters(wanted, state)
    if wrong:
        raise ConfigError(f"init.model: {path} does not fit the model: {'; '.join(map(str, wrong))}; make sizes equal")


def take_copy(model: nn.Layer, path: str | os.PathLike, notes: list[str]) -> None:
    """Copy what the model directory `path` keeps of a momentum copy into `model`, such as BriVL's twins, which is
    noted; all else of it stays. ConfigError when it does not fit, and then none is copied."""
    state, _, _ = open_model(path)
    names = {key: MOMENTUM + key for key in model.state_dict() if MOMENTUM + key in state}
    if not names:
        return
    wanted = {key: value for key, value in model.state_dict().items() if key in names}
    wrong = fill_parameters(wanted, state, names=names, fit=resized)
    if wrong:
        raise ConfigError(
            f"init.model: the momentum copy of {path} does not fit the model: {'; '.join(map(str, wrong))}; make "
            "sizes equal"
        )
    notes.append(f"the copy that encodes keys starts from the {len(names)} tensors of one in {path}")


def take_temperature(model: DualEncoder, path: str | os.PathLike) -> None:
    """Copy the cross-modal temperature of the model directory `path`, where this run has one."""
    state, _, _ = open_model(path)
    if "mm" in model.groups:
        fill_parameters({TEMPERATURE: model.temperature("mm").temperature_b}, state, optional=TEMPERATURE)


def take_tower(model: DualEncoder, tower: str, path: str | os.PathLike) -> None:
    """Copy one tower's weights from the model directory `path`; positions are interpolated to this model's sizes.
    ConfigError names every tensor that is missing or of another size, and then none is copied."""
    state, theirs, _ = open_model(path)
    prefix = SIDES[tower]
    head = f"{prefix}proj." if has_other_head(theirs.towers()[tower], model.config.towers()[tower]) else None
    wanted = {
        key: parameter
        for key, parameter in model.state_dict().items()
        if key.startswith(prefix) and not (head and key.startswith(head))
    }
    wrong = fill_parameters(wanted, state, fit=resized)
    if wrong:
        raise ConfigError(
            f"init.{tower}: {path} does not fit model.{tower}_tower: {'; '.join(map(str, wrong))}; make the sizes equal"
        )


def resized(key: str, found: Shape, wanted: Shape) -> Callable[[np.ndarray], np.ndarray] | None:
    """The function that interpolates positions of one shape to another; None for other tensors and other widths."""
    if found[-1] == wanted[-1]:
        if key == GRID:
            return lambda positions: resize_grid(positions, wanted[1])
        if key == ROWS:
            return lambda positions: resize_rows(positions, wanted[0])
    return None

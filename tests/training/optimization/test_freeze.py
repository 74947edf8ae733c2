"""Frozen towers: for the whole run or a first stage, and what that means for gradients, decay and low-rank updates."""

import numpy as np
import paddle
import pytest

from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.config.run import LoraConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.models.lora import add_lora, lora_parameters
from ernie_vil2.training.optimization.freeze import Freezer
from tests.training.updates import Updates

LIT = {"match": r"visual\..*"}


def freezer(model, *rules):
    return Freezer(model, OptimizerConfig(freeze=list(rules)).freeze)


def rests(model, prefix):
    return all(value.stop_gradient for name, value in model.named_parameters() if name.startswith(prefix))


def step(model, updates):
    image, text = model(paddle.rand([2, 3, 32, 32]), paddle.to_tensor([[1, 2, 3], [1, 4, 3]]))
    ((image * text).sum() * model.logit_scale()).backward()
    updates.step()


def test_a_locked_tower_stays_bit_for_bit_and_the_other_learns(tiny_config):
    model = new_model(tiny_config)
    locked = freezer(model, LIT)
    assert locked.apply(0) and not locked.apply(1)
    assert rests(model, "visual.") and not rests(model, "text_model.")
    updates = Updates(model, OptimizerConfig(lr=0.1, warmup=0, weight_decay=1.0), 10, locked.learning_ever())
    assert not [name for name in locked.learning_ever() if name.startswith("visual.")]
    before = {name: value.numpy().copy() for name, value in model.named_parameters()}
    step(model, updates)
    for name, value in model.named_parameters():
        moved = not np.array_equal(value.numpy(), before[name])
        assert not moved if name.startswith("visual.") else moved or name.endswith((".k.bias", "ln2.bias")), name


def test_a_second_stage_frees_the_tower_at_its_step(tiny_config):
    model = new_model(tiny_config)
    stages = freezer(model, {**LIT, "until": 2})
    updates = Updates(model, OptimizerConfig(lr=0.1, warmup=0), 10, stages.learning_ever())
    weight = model.visual.class_embedding
    changes, moved = [], []
    for number in range(4):
        changes.append(stages.apply(number))
        before = weight.numpy().copy()
        step(model, updates)
        moved.append(not np.array_equal(before, weight.numpy()))
    assert changes == [True, False, True, False] and moved == [False, False, True, True]
    again = freezer(model, {**LIT, "until": 2})
    assert not again.apply(3) and not rests(model, "visual.")


def test_the_lower_half_of_a_tower_can_be_frozen_with_the_towers_own_gradients_elsewhere(tiny_config):
    model = new_model(tiny_config)
    lower = freezer(model, {"match": r"visual\.(patch_embed|class_|positional_|norm_pre|blocks\.0\.).*"})
    pixels = paddle.rand([2, 3, 32, 32])

    def gradients():
        model.encode_image(pixels).sum().backward()
        found = {name: value.grad for name, value in model.visual.named_parameters()}
        model.clear_gradients()
        return {name: value.numpy() for name, value in found.items() if value is not None}

    whole = gradients()
    lower.apply(0)
    part = gradients()
    assert {name.split(".")[0] for name in part} == {"blocks", "norm_post"} and not any(".0." in name for name in part)
    assert not [name for name, value in part.items() if not np.array_equal(value, whole[name])]


def test_what_low_rank_updates_froze_is_not_freed(tiny_config):
    model = new_model(tiny_config)
    add_lora(model, LoraConfig(rank=2, towers=("image",)))
    stages = freezer(model, {"match": r"visual\..*", "until": 1})
    stages.apply(0)
    assert rests(model, "visual.")
    stages.apply(1)
    learning = {name for name, value in model.named_parameters() if not value.stop_gradient}
    assert {name for name in learning if name.startswith("visual.")} == set(lora_parameters(model))


def test_an_entry_that_fits_nothing_is_an_error(tiny_config):
    with pytest.raises(ConfigError, match="optimizer.freeze: no parameter fits"):
        freezer(new_model(tiny_config), {"match": "visual"})
    with pytest.raises(ConfigError, match="until"):
        OptimizerConfig(freeze=[{"match": "visual", "until": 0}])

"""A scaled loss gives the same steps bit for bit where nothing overflows, and skips the ones that do."""

import math

import numpy as np

from ernie_vil2.training.optimization.loss_scale import GROWTH_STEPS, LossScale
from ernie_vil2.training.trainer import Trainer
from tests.training.test_trainer import run_config


def weights_after(tmp_path, name, scale):
    trainer = Trainer(run_config(tmp_path / name, train__steps=4))
    trainer.rig.scale = scale
    trainer.run()
    return {key: value.numpy() for key, value in trainer.rig.model.state_dict().items()}


def test_a_power_of_two_changes_no_bit(tmp_path):
    plain, scaled = weights_after(tmp_path, "plain", None), weights_after(tmp_path, "scaled", LossScale(2.0**10))
    assert all(np.array_equal(plain[key], scaled[key]) for key in plain)


def test_an_overflow_skips_the_step_and_halves_the_scale(tmp_path):
    trainer = Trainer(run_config(tmp_path / "run", train__steps=1, optimizer={"warmup": 0}))
    trainer.rig.scale = LossScale(2.0**40 * 1e300)
    before = {key: value.numpy().copy() for key, value in trainer.rig.model.state_dict().items()}
    value = trainer.rig.scale.value
    trainer.run()
    assert trainer.rig.scale.value == value / 2
    assert all(np.array_equal(before[key], value.numpy()) for key, value in trainer.rig.model.state_dict().items())


def test_it_grows_after_a_long_time_without_overflow_and_comes_back_from_its_state():
    scale = LossScale(8.0)
    assert all(scale.update(1.0) for _ in range(GROWTH_STEPS - 1)) and scale.value == 8.0
    other = LossScale()
    other.load(scale.state())
    assert other.update(1.0) and other.value == 16.0
    assert not other.update(math.inf) and other.value == 8.0 and not other.update(math.nan) and other.value == 4.0

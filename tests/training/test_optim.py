"""The learning rate's shape and what AdamW decays."""

import numpy as np
import pytest

from ernie_vil2.config import OptimizerConfig
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.training.optim import build_optimizer, decayed, learning_rate


def test_warm_up_is_linear_then_a_cosine_to_the_last_step():
    config = OptimizerConfig(lr=2.0, final_lr=0.5, warmup=4)
    rates = np.array([learning_rate(step, config, 24) for step in range(24)])
    np.testing.assert_allclose(rates[:4], [0.5, 1.0, 1.5, 2.0])
    assert rates[4] == 2.0 and rates[-1] == pytest.approx(0.5)
    assert (np.diff(rates[4:]) < 0).all()
    middle = (rates[4] + rates[-1]) / 2
    np.testing.assert_allclose(rates[4:] - middle, -(rates[4:] - middle)[::-1], atol=1e-12)
    assert learning_rate(0, OptimizerConfig(lr=1.0, warmup=0), 1) == 1.0


def test_the_schedule_reaches_the_optimizer(tiny_config):
    config = OptimizerConfig(lr=1e-2, warmup=2)
    optimizer, schedule = build_optimizer(new_model(tiny_config), config, 10)
    rates = []
    for _ in range(10):
        rates.append(optimizer.get_lr())
        schedule.step()
    assert rates == pytest.approx([learning_rate(step, config, 10) for step in range(10)])


def test_matrices_decay_and_nothing_else(tiny_config):
    names = {name: decayed(name, parameter) for name, parameter in new_model(tiny_config).named_parameters()}
    assert names["visual.blocks.0.attn.qkv.weight"] and names["text_model.word_emb.weight"]
    kept = [name for name, value in names.items() if not value]
    assert all("norm" in name or ".ln" in name or name.endswith(("bias", "temperature_b")) for name in kept)

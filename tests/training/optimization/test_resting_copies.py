"""Weights of low precision beside their fp32 masters: who follows whom."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.optimizer import OptimizerConfig
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.optimizer import AdamW, weight_keys
from ernie_vil2.training.optimization.weights import Weights

FINE = np.float32(1 + 2**-12)
"""A value that bf16 has not"""


class Followed(nn.Layer):
    """A layer that learns, a copy of it that a system moves itself, and one that nobody moves."""

    def __init__(self):
        super().__init__()
        self.config = ModelConfig()
        self.own, self.copy, self.still = nn.Linear(3, 5), nn.Linear(3, 5), nn.Linear(3, 5)
        for value in (*self.copy.parameters(), *self.still.parameters()):
            value.stop_gradient = True


@pytest.fixture
def model():
    model = Followed()
    for value in model.parameters():
        value.set_value(np.full(value.shape, FINE, np.float32))
    return model


@pytest.mark.parametrize("low", [False, True])
def test_what_a_system_sets_stays_and_is_saved(model, low):
    config = OptimizerConfig(lr=0.1, warmup=0)
    names = [name for name, _ in model.named_parameters()] if low else []
    weights = Weights(model, weight_keys(model, config), names)
    gradients, optimizer = Gradients(weights), AdamW(weights, config)
    for step in range(2):
        for value in model.own.parameters():
            value.grad = paddle.ones(value.shape, value.dtype)
        gradients.collect()
        optimizer.step(gradients, 0.1)
        gradients.clear()
        for value in model.copy.parameters() if step == 0 else ():
            paddle.assign(paddle.full(value.shape, 4.0, value.dtype), value)
    with weights.shown():
        found = {name: value.numpy().copy() for name, value in model.named_parameters()}
    for name, value in model.named_parameters():
        assert (value.dtype == paddle.bfloat16) == low
        if name.startswith("copy."):
            assert (found[name] == 4.0).all() and (value.astype("float32").numpy() == 4.0).all()
        elif name.startswith("still."):
            assert (found[name] == FINE).all(), "the fp32 value is kept, not its rounded copy"
        else:
            assert (found[name] < FINE - 0.1).all()
            np.testing.assert_allclose(value.astype("float32").numpy(), found[name], rtol=2**-8)

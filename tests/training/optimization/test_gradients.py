"""Gradients out of the parameters into buckets: what they hold, and that nothing is held twice."""

import numpy as np
import paddle
import pytest
from paddle import nn

from ernie_vil2.device import MIB, current_device
from ernie_vil2.training.optimization import gradients as gradients_module
from ernie_vil2.training.optimization.gradients import Gradients
from ernie_vil2.training.optimization.weights import Weights

SIDE = 512
PARAMETERS = 8


class Squares(nn.Layer):
    """PARAMETERS matrices of 1 MiB."""

    def __init__(self):
        super().__init__()
        self.held = nn.ParameterList([self.create_parameter([SIDE, SIDE]) for _ in range(PARAMETERS)])


@pytest.fixture(params=[1, 3, 100])
def model(request, monkeypatch):
    """With buckets of so many MiB."""
    monkeypatch.setattr(gradients_module, "BUCKET", request.param * MIB)
    return Squares()


def mebibytes():
    return current_device().tensors().now


def test_a_gradient_is_held_once(model):
    weights = Weights(model)
    before = mebibytes()
    gradients = Gradients(weights)
    largest = max(bucket.end - bucket.start for bucket in gradients.buckets) * 4 / MIB
    for value in model.held:
        value.grad = paddle.ones([SIDE, SIDE])
    current_device().forget_most()
    gradients.collect()
    assert current_device().tensors().most - before < PARAMETERS + 1.1 * largest + 0.5
    assert mebibytes() - before < PARAMETERS + 0.5 and len(gradients.named()) == PARAMETERS
    gradients.clear()
    assert mebibytes() - before < 0.5 and not gradients.held


def test_parameters_that_share_one_gradient_do_not_change_each_other(model):
    gradients = Gradients(Weights(model))
    for _ in range(2):
        sum(list(model.held)[1:], model.held[0]).sum().backward()  # Paddle may give all of them the same memory
        gradients.collect()
    gradients.scale(0.25)
    found = gradients.named()
    assert len(found) == PARAMETERS and all((value.numpy() == 0.5).all() for value in found.values())


def test_norms_of_ranges_add_up_to_the_whole(model):
    weights = Weights(model)
    gradients, random = Gradients(weights), np.random.default_rng(0)
    for value in list(model.held)[1:]:
        value.grad = paddle.to_tensor(random.normal(size=[SIDE, SIDE]).astype(np.float32))
    wanted = [0.0, *((value.grad.numpy().astype(np.float64) ** 2).sum() for value in list(model.held)[1:])]
    gradients.collect()
    for part in (slice(0, 3), slice(3, None), slice(0, 1)):
        found = gradients.squared_norm(weights.ranges(list(model.held)[part]))
        assert found.item() == pytest.approx(sum(wanted[part]), rel=1e-5)
    assert gradients.squared_norm().item() == pytest.approx(sum(wanted), rel=1e-5)

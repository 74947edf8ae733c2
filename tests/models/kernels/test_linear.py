"""Linear layers on a CPU, alone and with an activation, against plain formulas in float64."""

import itertools

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest

from ernie_vil2.models import layers
from ernie_vil2.models.kernels import arrays
from ernie_vil2.models.kernels.activations import ACTIVATED
from ernie_vil2.models.kernels.linear import ActivatedLinearOnCPU, LinearOnCPU

from .gradients import check, results

PLAIN = {"quick_gelu": lambda x: x * F.sigmoid(1.702 * x), "gelu": F.gelu}


def sizes(rows, inputs, outputs, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((*rows, inputs), (inputs, outputs), (outputs,))]


def activated(name):
    return lambda x, weight, bias: ActivatedLinearOnCPU.apply(x, weight, bias, ACTIVATED[name])


def plain(name):
    return lambda x, weight, bias: PLAIN[name](F.linear(x, weight, bias))


@pytest.mark.parametrize("name", ACTIVATED)
@pytest.mark.parametrize("rows", [(1,), (3, 5), (2, 3, 7)])
def test_an_activated_linear_has_the_values_and_gradients_of_its_formula(monkeypatch, name, rows):
    monkeypatch.setattr(arrays, "PIECE", 64)  # several pieces, the last of them smaller
    check(activated(name), plain(name), sizes(rows, 9, 13))
    check(LinearOnCPU.apply, F.linear, sizes(rows, 9, 13))


@pytest.mark.parametrize("name", ACTIVATED)
def test_any_size_of_value_has_a_value_and_a_slope(name):
    x = np.concatenate([np.linspace(-12, 12, 401), [-1e30, -1e4, -100.0, -88.5, 88.5, 100.0, 1e4, 1e18]])[:, None]
    one, none = np.ones([1, 1]), np.zeros([1])
    value, of_x, _, _ = results(lambda *given: activated(name)(*given), [x, one, none])
    wanted, slope, _, _ = results(lambda *given: plain(name)(*given), [x, one, none], "float64")
    size = np.maximum(1, np.abs(x))
    assert (np.abs(value - wanted) <= 1e-6 * size).all()
    assert (np.abs(of_x - slope) <= 1e-6 * np.maximum(size, np.abs(slope))).all()


@pytest.mark.parametrize("learning", list(itertools.product([True, False], repeat=3)))
def test_only_what_learns_has_a_gradient(learning):
    check(activated("gelu"), plain("gelu"), sizes((4, 3), 5, 6), learning)
    check(LinearOnCPU.apply, F.linear, sizes((4, 3), 5, 6), learning)


def test_a_graph_may_be_used_again():
    x, weight, bias = (paddle.to_tensor(part.astype("float32")) for part in sizes((4,), 5, 6))
    x.stop_gradient = False
    value = activated("gelu")(x, weight, bias)
    first, second = (paddle.grad(value.sum(), x, retain_graph=True)[0].numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_what_is_no_number_stays_none_without_a_warning(recwarn):
    x, weight, bias = sizes((4,), 5, 6)
    x[1, 2], x[2, 3] = np.nan, np.inf
    value = results(activated("quick_gelu"), [x, weight, bias])[0]
    assert np.isnan(value[1]).all() and np.isfinite(value[[0, 3]]).all() and not recwarn.list


@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
@pytest.mark.parametrize("training", [True, False])
def test_a_layer_takes_its_own_gradient_in_training_where_there_is_enough_to_compute(monkeypatch, activation, training):
    taken, apply = [], ActivatedLinearOnCPU.apply
    monkeypatch.setattr(layers.ActivatedLinearOnCPU, "apply", lambda *given: taken.append(1) or apply(*given))
    layer = layers.Linear(64, 1024)
    layer.train() if training else layer.eval()
    for rows in (3, 64):
        taken.clear()
        x = paddle.randn([rows, 64])
        value = layer.activated(x, activation)
        assert bool(taken) == (training and rows == 64 and activation in ACTIVATED)
        wanted = layers.ACTIVATIONS[activation](F.linear(x, layer.weight, layer.bias))
        np.testing.assert_allclose(value.numpy(), wanted.numpy(), atol=1e-5)


def test_other_types_and_layers_without_bias_take_paddles_own(monkeypatch):
    monkeypatch.setattr(layers.LinearOnCPU, "apply", None)
    monkeypatch.setattr(layers.ActivatedLinearOnCPU, "apply", None)
    bare = layers.Linear(64, 1024, bias_attr=False)
    assert bare.activated(paddle.randn([64, 64]), "gelu").shape == [64, 1024]
    wide = layers.Linear(64, 1024)
    wide.to(dtype="float64")
    assert wide.activated(paddle.randn([64, 64]).astype("float64"), "gelu").dtype == paddle.float64

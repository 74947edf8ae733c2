"""Layer norm on a CPU against its formula in float64."""

import itertools

import numpy as np
import paddle
import pytest

from ernie_vil2.models import layers
from ernie_vil2.models.kernels import arrays
from ernie_vil2.models.kernels.norm import LayerNormOnCPU

from .gradients import check

EPSILON = 1e-5


def ours(x, weight, bias):
    return LayerNormOnCPU.apply(x, weight, bias, EPSILON)


def plain(x, weight, bias):
    centred = x - x.mean(-1, keepdim=True)
    return centred / paddle.sqrt((centred * centred).mean(-1, keepdim=True) + EPSILON) * weight + bias


def sizes(shape, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(part) for part in (shape, shape[-1:], shape[-1:])]


@pytest.mark.parametrize("shape", [(1, 7), (5, 33), (2, 3, 129), (4, 1)])
def test_it_has_the_values_and_gradients_of_its_formula(monkeypatch, shape):
    monkeypatch.setattr(arrays, "PIECE", 100)  # several pieces, the last of them smaller
    check(ours, plain, sizes(shape))


@pytest.mark.parametrize("size", [1e-3, 100.0, 1e4])
def test_rows_of_other_sizes_and_rows_that_are_even(size):
    x, weight, bias = sizes((6, 64))
    x *= size
    x[2], x[3] = 3.0, 0.0
    check(ours, plain, [x, weight, bias])


@pytest.mark.parametrize("learning", list(itertools.product([True, False], repeat=3)))
def test_only_what_learns_has_a_gradient(learning):
    check(ours, plain, sizes((4, 3, 8)), learning)


@pytest.mark.parametrize(
    ("training", "rows", "dtype"), list(itertools.product([True, False], [3, 128], ["float32", "float64"]))
)
def test_the_layer_takes_it_in_training_where_there_is_enough_to_compute(monkeypatch, training, rows, dtype):
    taken, apply = [], LayerNormOnCPU.apply
    monkeypatch.setattr(layers.LayerNormOnCPU, "apply", lambda *given: taken.append(1) or apply(*given))
    layer = layers.LayerNorm(512)
    layer.to(dtype=dtype)
    layer.train() if training else layer.eval()
    x = paddle.randn([rows, 512]).astype(dtype)
    value = layer(x)
    assert bool(taken) == (training and rows == 128 and dtype == "float32")
    np.testing.assert_allclose(value.numpy(), plain(x, layer.weight, layer.bias).numpy(), atol=1e-5)

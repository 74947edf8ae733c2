"""The sigmoid loss in blocks against its definition by automatic differentiation."""

import numpy as np
import paddle
import pytest

from ernie_vil2.objectives import sigmoid


@pytest.fixture
def problem():
    rng = np.random.default_rng(3)
    arrays = [rng.standard_normal((7, 5)), rng.standard_normal((23, 5)), np.array([4.0]), np.array([-3.0])]
    same = rng.random((7, 23)) < 0.2
    return [array.astype(np.float32) for array in arrays], same, rng.random(7) < 0.8, rng.random(23) < 0.8


def plain(x, y, scale, bias, same, here, there):
    logits = paddle.matmul(x, y, transpose_y=True) * scale + bias
    sign = paddle.where(same, 1.0, -1.0)
    used = (here[:, None] & there[None, :]).astype("float32")
    return -(paddle.log(paddle.nn.functional.sigmoid(sign * logits)) * used).sum()


def value_and_gradients(function, arrays, *rest):
    tensors = [paddle.to_tensor(array, stop_gradient=False) for array in arrays]
    value = function(*tensors, *(paddle.to_tensor(flags) for flags in rest))
    (value * 0.7).backward()
    return [value.item(), *(tensor.grad.numpy() for tensor in tensors)]


@pytest.mark.parametrize("chunk", [1, 4, 23, 100])
def test_blocks_give_the_value_and_every_gradient(problem, monkeypatch, chunk):
    monkeypatch.setattr(sigmoid, "CHUNK", chunk)
    wanted = value_and_gradients(plain, *problem[:1], *problem[1:])
    found = value_and_gradients(sigmoid.sigmoid_loss, *problem[:1], *problem[1:])
    for one, two in zip(found, wanted, strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=1e-6)


def test_far_logits_stay_finite():
    x, y = np.array([[1.0, 0.0]], np.float32), np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    same = np.array([[False, True]])
    arrays = [x, y, np.array([500.0], np.float32), np.array([0.0], np.float32)]
    value, *gradients = value_and_gradients(sigmoid.sigmoid_loss, arrays, same, np.ones(1, bool), np.ones(2, bool))
    assert value == pytest.approx(1000.0) and all(np.isfinite(gradient).all() for gradient in gradients)

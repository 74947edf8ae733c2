"""Values and gradients of a layer in float32, beside those of a plain form of it in float64."""

import numpy as np
import paddle

TOLERANCE = 1e-6


def tensors(arrays, dtype, learning):
    """The arrays as tensors that learn or not."""
    made = [paddle.to_tensor(array.astype(dtype)) for array in arrays]
    for tensor, learns in zip(made, learning, strict=True):
        tensor.stop_gradient = not learns
    return made


def results(function, arrays, dtype="float32", learning=None):
    """[value, gradient of each array or None]; the value is used twice, and its own gradient stays as it is given."""
    given = tensors(arrays, dtype, learning or [True] * len(arrays))
    value = function(*given)
    slope = paddle.to_tensor(np.random.default_rng(5).standard_normal(value.shape).astype(dtype))
    if not value.stop_gradient:
        seen = []
        value.register_hook(lambda gradient: seen.append(gradient))  # which others may use too
        ((value * slope).sum() + (value * value).sum() * 0.25).backward()
        np.testing.assert_allclose(seen[0].numpy(), (slope + value * 0.5).numpy(), rtol=1e-5, atol=1e-6)
    return [value.numpy().copy()] + [None if tensor.grad is None else tensor.grad.numpy().copy() for tensor in given]


def assert_same(ours, plain):
    """Every array differs by at most TOLERANCE of the largest value of the plain one."""
    for number, (mine, theirs) in enumerate(zip(ours, plain, strict=True)):
        assert (mine is None) == (theirs is None), number
        if mine is not None:
            assert mine.dtype == np.float32 and mine.shape == theirs.shape
            assert np.abs(mine - theirs).max() <= TOLERANCE * np.abs(theirs).max(), number


def check(layer, plain, arrays, learning=None):
    """That both have the same value and gradients."""
    assert_same(results(layer, arrays, learning=learning), results(plain, arrays, "float64", learning))

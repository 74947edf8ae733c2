"""Running statistics of a batch norm: whose rule they follow, over ranks too, and that evaluation uses them."""

import numpy as np
import paddle
import pytest

from ernie_vil2.models.towers.batch_norm import BatchNorm, frozen_or_not, synchronise


def batches():
    return np.random.default_rng(2).normal(3.0, 2.0, (3, 2, 5, 3, 2)).astype(np.float32)


@pytest.mark.parametrize("unbiased", [False, True])
def test_statistics_follow_the_rule(unbiased):
    layer = BatchNorm(5, 0.9, 1e-3, unbiased)
    mean, variance = np.zeros(5), np.ones(5)
    layer.train()
    for batch in batches():
        found = layer(paddle.to_tensor(batch)).numpy()
        centred = batch - batch.mean((0, 2, 3), keepdims=True)
        np.testing.assert_allclose(found, centred / np.sqrt(batch.var((0, 2, 3), keepdims=True) + 1e-3), atol=1e-5)
        mean = 0.9 * mean + 0.1 * batch.mean((0, 2, 3))
        variance = 0.9 * variance + 0.1 * batch.var((0, 2, 3), ddof=int(unbiased))
    np.testing.assert_allclose(layer._mean.numpy(), mean, rtol=1e-5)
    np.testing.assert_allclose(layer._variance.numpy(), variance, rtol=1e-5)
    layer.eval()
    wanted = (batches()[0] - mean[:, None, None]) / np.sqrt(variance[:, None, None] + 1e-3)
    np.testing.assert_allclose(layer(paddle.to_tensor(batches()[0])).numpy(), wanted, atol=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_one_over_ranks_keeps_the_rule_of_its_layer(unbiased):
    holder = paddle.nn.Sequential(BatchNorm(5, 0.8, 1e-3, unbiased))
    plain = BatchNorm(5, 0.8, 1e-3, unbiased)
    synchronise(holder)
    for batch in batches():
        np.testing.assert_allclose(holder(paddle.to_tensor(batch)).numpy(), plain(paddle.to_tensor(batch)), atol=1e-5)
    np.testing.assert_allclose(holder[0]._variance.numpy(), plain._variance.numpy(), rtol=1e-5)


@pytest.mark.parametrize("unbiased", [False, True])
def test_frozen_statistics_stay(unbiased):
    layer = frozen_or_not(BatchNorm(5, 0.9, 1e-3, unbiased), "frozen")
    layer.train()
    batch = batches()[0]
    np.testing.assert_allclose(layer(paddle.to_tensor(batch)).numpy(), batch / np.sqrt(1 + 1e-3), rtol=1e-5)
    assert not layer._mean.numpy().any() and (layer._variance.numpy() == 1).all()

"""Attention on a CPU with a gradient of its own, against the plain form in float64 and Paddle's dropout."""

import itertools

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle.base import core

from ernie_vil2.models import layers
from ernie_vil2.models.kernels.attention import AttentionOnCPU
from ernie_vil2.models.recompute import run_again

from .gradients import assert_same, check, results

MASKED = -10000.0


def plain(bias=None, dropout=0.0):
    """The plain form, of three tensors or of one."""

    def function(*parts):
        query, key, value = parts[0].unbind(2) if len(parts) == 1 else parts
        query, key, value = (part.transpose([0, 2, 1, 3]) for part in (query, key, value))
        scores = paddle.matmul(query, key, transpose_y=True) * query.shape[-1] ** -0.5
        weights = F.softmax(scores if bias is None else scores + paddle.to_tensor(bias.astype(str(scores.dtype)[7:])))
        weights = F.dropout(weights, dropout, training=True) if dropout else weights
        return paddle.matmul(weights, value).transpose([0, 2, 1, 3]).flatten(2)

    return function


def ours(bias=None, dropout=0.0):
    added = None if bias is None else paddle.to_tensor(bias.astype("float32"))
    return lambda *parts: AttentionOnCPU.apply(added, dropout, *parts)


def sizes(batch, length, heads, depth, size=1.0, seed=0):
    rng = np.random.default_rng(seed)
    return [rng.standard_normal([batch, length, heads, depth]) * size for _ in range(3)]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (2, 5, 3, 4), (3, 17, 1, 7), (1, 33, 2, 8)])
def test_it_has_the_values_and_gradients_of_the_plain_form(shape):
    parts = sizes(*shape)
    check(ours(), plain(), parts)
    check(ours(), plain(), [np.stack(parts, 2)])


@pytest.mark.parametrize("rows", [1, 9])
@pytest.mark.parametrize("low", [MASKED, -80.0, -2.5])
def test_keys_are_masked_for_all_queries_or_for_some(rows, low):
    bias = np.where(np.random.default_rng(1).random([3, 1, rows, 9]) < 0.4, low, 0.0)
    check(ours(bias), plain(bias), sizes(3, 9, 2, 4))


def test_a_sample_with_nothing_to_look_at_has_what_paddle_gives_it():
    bias = np.full((3, 1, 1, 9), MASKED)
    bias[::2, ..., :5] = 0.0
    parts = [part.astype("float32") for part in sizes(3, 9, 2, 4)]
    assert_same(results(ours(bias), parts), results(plain(bias), parts))


@pytest.mark.parametrize("size", [5.0, 12.0, 20.0])
def test_scores_beyond_the_range_of_exponentials_are_held_in_it(size):
    query, key, value = sizes(2, 9, 2, 4, size)
    scores = np.abs(np.einsum("bnhd,bmhd->bhnm", query, key) / 2).max()
    assert scores > (30 if size == 5.0 else 88)
    mine, theirs = results(ours(), [query, key, value / size]), results(plain(), [query, key, value / size], "float64")
    for one, other in zip(mine, theirs, strict=True):  # rounding of the scores themselves, whoever computes them
        assert np.abs(one - other).max() <= 1e-7 * scores * np.abs(other).max() + 1e-6


@pytest.mark.parametrize("learning", list(itertools.product([True, False], repeat=3)))
def test_only_what_learns_has_a_gradient(learning):
    bias = np.where(np.arange(6) > 3, MASKED, 0.0).reshape(1, 1, 1, 6)
    check(ours(bias), plain(bias), sizes(2, 6, 2, 3), learning)
    check(ours(), plain(), sizes(2, 6, 2, 3), learning)


def test_more_keys_than_queries():
    query, key, value = sizes(2, 7, 2, 3)
    check(ours(), plain(), [query[:, :3], key, value])


@pytest.mark.parametrize("bias", [None, np.where(np.arange(8) > 5, MASKED, 0.0).reshape(1, 1, 1, 8)])
def test_dropout_draws_what_paddle_draws(bias):
    parts = [part.astype("float32") for part in sizes(2, 8, 3, 4)]
    found = []
    for function in (ours(bias, 0.3), plain(bias, 0.3)):
        paddle.seed(3)
        found.append(results(function, parts))
    assert_same(*found)


def test_nothing_is_left_after_the_backward_pass():
    parts = [paddle.randn([2, 64, 2, 8]) for _ in range(3)]
    parts[0].stop_gradient = False

    def held():
        paddle.grad(AttentionOnCPU.apply(None, 0.1, *parts).sum(), parts[0])
        return core.host_memory_stat_current_value("Allocated", 0)

    held()
    assert held() == held() == held()


def test_a_block_that_runs_again_has_the_same_gradient():
    parts = [part.astype("float32") for part in sizes(2, 6, 2, 3)]
    again = results(lambda *given: run_again(ours(), *given), parts)
    for one, other in zip(again, results(ours(), parts), strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("training", "batch"), list(itertools.product([True, False], [1, 16])))
def test_it_is_taken_in_training_where_there_is_enough_to_compute(monkeypatch, training, batch):
    taken, apply = [], AttentionOnCPU.apply
    monkeypatch.setattr(layers.AttentionOnCPU, "apply", lambda *given: taken.append(1) or apply(*given))
    joint = paddle.randn([batch, 197, 3, 4, 8])
    bias = paddle.zeros([batch, 1, 1, 197])
    wanted = plain()(joint).numpy()
    for value in (
        layers.self_attention(joint, training=training),
        layers.attention(*joint.unbind(2), bias, training=training),
    ):
        np.testing.assert_allclose(value.numpy(), wanted, atol=1e-5)
    assert len(taken) == (2 if training and batch == 16 else 0)
    bias.stop_gradient = False
    layers.attention(*joint.unbind(2), bias, training=training)
    assert len(taken) == (2 if training and batch == 16 else 0), "a bias that learns has its gradient from Paddle"

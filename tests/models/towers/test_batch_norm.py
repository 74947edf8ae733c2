"""A synchronised batch norm in one process: a plain one, for any shape, type and parameters that rest or learn."""

import contextlib

import numpy as np
import paddle
import paddle.nn.functional as F
import pytest
from paddle import nn

from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.models import recompute
from ernie_vil2.models.towers import batch_norm
from ernie_vil2.models.towers.batch_norm import BatchNorm, SynchronisedBatchNorm, synchronise, synchronised
from ernie_vil2.models.towers.efficientnet import EfficientNet
from tests.training.test_batch_norm import TOWER, first_blocks

MAKERS = {
    "newer": lambda: BatchNorm(6, 0.9, 1e-3),
    "older": lambda: nn.BatchNorm(6, act="relu", momentum=0.8),
    "no scale, no shift": lambda: nn.BatchNorm2D(6, weight_attr=False, bias_attr=False),
}


def made(kind, mode="train"):
    """Two equal layers of a kind, the second one synchronised."""
    pair = [nn.Sequential(MAKERS[kind]()) for _ in range(2)]
    for layer in pair:
        batch_norm.frozen_or_not(layer, mode)
        draws = np.random.default_rng(4)
        for value in layer.parameters():
            value.set_value((0.5 + draws.random(value.shape)).astype(np.float32))
        layer.train()
    synchronise(pair[1])
    return [layer[0] for layer in pair]


def turn(layer, x, weights):
    """What one pass of a layer gives and leaves: values, gradients, statistics."""
    x = x.detach()
    x.stop_gradient = False
    y = layer(x)
    (y * weights).sum().backward()
    values = [y, x.grad, *(value.grad for value in (layer.weight, layer.bias) if value is not None)]
    return [value.numpy() for value in (*values, layer._mean, layer._variance)]


@pytest.mark.parametrize("shape", [(5, 6), (5, 6, 4, 3), (1, 6, 2, 2)])
@pytest.mark.parametrize("kind", MAKERS)
def test_in_one_process_it_is_the_plain_one(kind, shape):
    draws = np.random.default_rng(7)
    x, weights = (paddle.to_tensor(draws.normal(level, 1.0, shape).astype(np.float32)) for level in (20.0, 0.0))
    if kind != "newer" and len(shape) == 2:
        x = x.unsqueeze([2, 3])
        weights = weights.unsqueeze([2, 3])
    plain, own = made(kind)
    assert isinstance(own, SynchronisedBatchNorm)
    for _ in range(2):
        for wanted, found in zip(turn(plain, x, weights), turn(own, x, weights), strict=True):
            np.testing.assert_allclose(found, wanted, rtol=2e-5, atol=3e-5)
    plain.eval()
    own.eval()
    np.testing.assert_allclose(own(x).numpy(), plain(x).numpy(), rtol=1e-5)


@pytest.mark.parametrize("resting", [{"x"}, {"weight"}, {"bias"}, {"x", "weight"}, {"x", "weight", "bias"}])
def test_what_rests_has_no_gradient_and_the_rest_keeps_its_own(resting):
    """Paddle's own gives the shift no gradient where the scale rests."""
    found = []
    for rests in (set(), resting):
        layer = made("newer")[1]
        x = paddle.to_tensor(np.random.default_rng(1).normal(2.0, 1.0, (3, 6, 2, 2)).astype(np.float32))
        tensors = {"x": x, "weight": layer.weight, "bias": layer.bias}
        for name, value in tensors.items():
            value.stop_gradient = name in rests
        (layer(x).square() * x).sum().backward() if rests != set(tensors) else layer(x)
        found.append({name: value.grad.numpy() for name, value in tensors.items() if value.grad is not None})
    assert set(found[1]) == set(found[0]) - resting
    assert all(np.array_equal(value, found[0][name]) for name, value in found[1].items())


def test_the_running_variance_is_the_biased_one_of_paddle():
    x = paddle.randn([2, 6, 1, 1])
    layer = SynchronisedBatchNorm(nn.BatchNorm2D(6, momentum=0.75))
    layer.train()
    layer(x)
    mean, variance = paddle.zeros([6]), paddle.ones([6])
    F.batch_norm(x, mean, variance, paddle.ones([6]), paddle.zeros([6]), training=True, momentum=0.75)
    np.testing.assert_allclose(layer._variance.numpy(), variance.numpy(), rtol=1e-6)
    np.testing.assert_allclose(layer._mean.numpy(), mean.numpy(), rtol=1e-6)
    assert abs(x.numpy().var(0, ddof=1).ravel() * 0.25 + 0.75 - variance.numpy()).max() > 0.01, "they differ here"


def test_half_precision_goes_in_and_out_and_fp32_is_what_is_computed(monkeypatch):
    layer = SynchronisedBatchNorm(nn.BatchNorm2D(6))
    layer.train()
    x = (1000.0 + paddle.randn([8, 6, 4, 4])).astype("bfloat16")
    x.stop_gradient = False
    enabled, asked = [True], []

    @contextlib.contextmanager
    def auto_cast(enable):
        enabled.append(enable)
        yield
        enabled.pop()

    monkeypatch.setattr(paddle.amp, "auto_cast", auto_cast)  # on a CPU Paddle's own changes nothing
    convert = batch_norm.float32
    monkeypatch.setattr(batch_norm, "float32", lambda x: asked.append(enabled[-1]) or convert(x))
    y = layer(x)
    y.sum().backward()
    assert y.dtype == x.grad.dtype == paddle.bfloat16 and layer._mean.dtype == paddle.float32
    assert asked == [False] * 3, "autocast would choose bf16 for some operators, forward or backward"
    exact = x.astype("float32").numpy().astype(np.float64)
    wanted = (exact - exact.mean((0, 2, 3), keepdims=True)) / np.sqrt(exact.var((0, 2, 3), keepdims=True) + 1e-5)
    np.testing.assert_allclose(y.astype("float32").numpy(), wanted, atol=0.01, rtol=0.005)


def test_frozen_statistics_need_no_other_rank_and_are_told_apart():
    _, frozen = made("newer", "frozen")
    _, learning = made("newer")
    assert not isinstance(frozen, SynchronisedBatchNorm)
    assert not synchronised([nn.Linear(2, 2), nn.Sequential(frozen)])
    assert synchronised([nn.Linear(2, 2), nn.Sequential(nn.Sequential(learning))]) and synchronised([learning])


def test_paddle_keeps_it_in_fp32_under_o2():
    layer = nn.Sequential(nn.Conv2D(3, 6, 1), SynchronisedBatchNorm(nn.BatchNorm(6)))
    assert paddle.amp.auto_cast.__module__ and [
        paddle.amp.auto_cast.__globals__["need_keep_fp32"](part, "bfloat16") for part in layer
    ] == [False, True]


@pytest.mark.parametrize("whole", [False, True])
def test_with_recompute_a_batch_counts_once(monkeypatch, whole):
    monkeypatch.setattr(EfficientNetConfig, "blocks", first_blocks)
    pixels, found = paddle.rand([6, 3, 32, 32]), []
    passes = []
    for again in (False, True):
        paddle.seed(3)
        net = EfficientNet(EfficientNetConfig(**{**TOWER, "batch_norm": "train", "drop_path": 0.3}))
        net.starting_values()
        net.train()
        if whole:
            synchronise(net)
        net.recompute = again
        net.blocks[1].register_forward_pre_hook(lambda *_: passes.append(recompute.running_again()))
        net(pixels).square().sum().backward()
        state = {name: value.numpy().copy() for name, value in net.state_dict().items()}
        found.append((state, {name: p.grad.numpy() for name, p in net.named_parameters() if p.grad is not None}))
    assert passes == [False, False, True], "the block ran twice"
    for plain, again in zip(*found, strict=True):
        assert set(plain) == set(again) and all(np.array_equal(plain[name], again[name]) for name in plain)
    assert not recompute.running_again()

"""The sigmoid loss over tiles against its definition, in extended precision."""

import numpy as np
import pytest

from ernie_vil2.objectives import tiles
from ernie_vil2.objectives.comparison import Comparison
from ernie_vil2.objectives.sigmoid import sigmoid_loss
from tests.objectives.plain import WIDE
from tests.objectives.problems import features, labels, leaves

ROWS, SIZE = 7, 23


def problem():
    """(x [ROWS, D], y [SIZE, D], Labels of all, bool [ROWS, SIZE] of the positives, of what is compared)."""
    rng = np.random.default_rng(3)
    _, y = features("loose", SIZE, 5)
    x = features("loose", SIZE, 5, seed=1)[0][:ROWS]
    images, used = rng.integers(0, 12, SIZE), rng.random(SIZE) < 0.8
    whole = labels(images, {"caption": np.arange(SIZE)}, {"caption": used})
    same = images[:ROWS, None] == images
    assert same.sum() > ROWS and 0 < used[:ROWS].sum() < ROWS
    return x, y, whole, same, used[:ROWS, None] & used


def plain(x, y, scale, bias, same, used):
    """[loss, gradients of x, y, scale and bias]."""
    x, y, sign = x.astype(WIDE), y.astype(WIDE), np.where(same, WIDE(1), WIDE(-1))
    cosine = x @ y.T
    distance = sign * (cosine * WIDE(scale) + WIDE(bias))
    slope = np.where(used, -sign / (1 + np.exp(distance)), 0)
    loss = np.where(used, np.log1p(np.exp(-distance)), 0).sum()
    return [loss, slope @ y * scale, slope.T @ x * scale, (slope * cosine).sum(), slope.sum()]


def found(x, y, scale, bias, whole):
    """The same of the tiles; the loss enters with a factor of 0.7."""
    tensors = leaves(x, y, [scale], [bias])
    comparison = Comparison(whole.part(slice(len(x))), whole, "image", "caption", "by_id")
    loss = sigmoid_loss(comparison, *tensors)
    (loss * 0.7).backward()
    dx, dy, dscale, dbias = (tensor.grad.numpy().astype("f8") / 0.7 for tensor in tensors)
    return [loss.item(), dx, dy, dscale[0], dbias[0]]


def check(one, two, close):
    for value, wanted in zip(one, two, strict=True):
        error = np.linalg.norm(value - np.asarray(wanted, np.float64))
        assert error <= close * np.linalg.norm(np.asarray(wanted, np.float64))


@pytest.mark.parametrize("tile", [1, 6, 22, 100, tiles.CPU_TILE])
def test_tiles_give_the_value_and_every_gradient(monkeypatch, tile):
    monkeypatch.setattr(tiles, "CPU_TILE", tile)
    x, y, whole, same, used = problem()
    check(found(x, y, 4.0, -3.0, whole), plain(x, y, 4.0, -3.0, same, used), 2e-6)


@pytest.mark.parametrize("bias, size", [(-23.0, 1e-8), (-32.0, 1e-12)])
def test_small_terms_are_not_lost_beside_1(bias, size):
    """Negatives far below the bias: a pair loses exp(bias + logit), which an fp32 log(1 + exp) has as 0."""
    x, y = features("loose", SIZE, 64)
    rows = labels(np.arange(SIZE), {"caption": np.arange(SIZE)})
    columns = labels(np.arange(SIZE) + SIZE, {"caption": np.arange(SIZE) + SIZE})
    tensors = leaves(x, y, [4.0], [bias])
    loss = sigmoid_loss(Comparison(rows, columns, "image", "caption", "by_id"), *tensors)
    loss.backward()
    everywhere = np.ones((SIZE, SIZE), bool)
    wanted = plain(x, y, 4.0, bias, ~everywhere, everywhere)
    assert size / 100 < wanted[0] / SIZE**2 < size
    check([loss.item(), *(tensor.grad.numpy().astype("f8").squeeze() for tensor in tensors)], wanted, 1e-5)


def test_far_logits_stay_finite():
    x = np.array([[1.0, 0.0]], np.float32)
    y = np.array([[1.0, 0.0], [-1.0, 0.0]], np.float32)
    rows, columns = labels([2]), labels([1, 2], {"caption": [5, 6]})
    tensors = leaves(x, y, [500.0], [0.0])
    loss = sigmoid_loss(Comparison(rows, columns, "image", "caption", "by_id"), *tensors)
    loss.backward()
    assert loss.item() == pytest.approx(1000.0)
    assert all(np.isfinite(tensor.grad.numpy()).all() for tensor in tensors)

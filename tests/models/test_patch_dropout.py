"""Patches left out of a training pass: how many, which, and that a key draws the same ones again."""

import math

import numpy as np
import paddle
import pytest

from ernie_vil2.models.towers.vit import VisionTransformer, without_patches


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.75, 0.99])
def test_the_class_token_and_different_patches_of_each_image_are_kept(rate):
    paddle.seed(3)
    tokens = np.arange(8 * 17, dtype=np.float32).reshape(8, 17, 1).repeat(2, 2)
    kept = without_patches(paddle.to_tensor(tokens), rate).numpy()
    wanted = max(1, math.ceil((1 - rate) * 16 - 1e-9))
    assert kept.shape == (8, 1 + wanted, 2)
    assert np.array_equal(kept[:, 0], tokens[:, 0]) and np.array_equal(kept[..., 0], kept[..., 1])
    places = kept[:, 1:, 0] - tokens[:, :1, 0]
    assert ((places >= 1) & (places <= 16)).all()
    assert all(len(set(row)) == wanted for row in places.tolist())
    assert wanted in (15, 16) or len({tuple(sorted(row)) for row in places.tolist()}) > 1


def test_every_patch_is_as_likely_as_any_other():
    paddle.seed(1)
    tokens = paddle.arange(17, dtype="float32").reshape([1, 17, 1]).expand([4000, 17, 1])
    counts = np.bincount(without_patches(tokens, 0.5).numpy()[:, 1:].astype(int).ravel(), minlength=17)[1:]
    np.testing.assert_allclose(counts / 4000, 0.5, atol=0.05)


def test_training_draws_by_the_generator_and_evaluation_sees_every_patch(tiny_config):
    pixels = paddle.rand([4, 3, 32, 32])
    tower = VisionTransformer(tiny_config.image_tower)
    tower.eval()
    whole = tower(pixels).numpy()
    tower.patch_dropout = 0.5
    assert np.array_equal(tower(pixels).numpy(), whole)
    tower.train()

    def drawn(seed):
        paddle.seed(seed)
        return tower(pixels).numpy()

    assert np.array_equal(drawn(5), drawn(5))
    assert not np.allclose(drawn(5), drawn(6)) and not np.allclose(drawn(5), whole)


def test_gradients_reach_the_kept_patches_only(tiny_config):
    tiny_config.image_tower.patch_dropout = 0.75
    tower = VisionTransformer(tiny_config.image_tower)
    pixels = paddle.rand([1, 3, 32, 32])
    pixels.stop_gradient = False
    tower.train()
    tower(pixels).square().sum().backward()
    cells = pixels.grad.numpy().reshape(3, 4, 8, 4, 8).transpose(1, 3, 0, 2, 4).reshape(16, -1)
    assert (np.abs(cells).max(1) > 0).sum() == 4

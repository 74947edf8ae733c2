"""Operations counted by hand: every product of two small towers, written out with its shapes."""

import dataclasses

import pytest

from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import EfficientNetConfig, ImageTowerConfig, TextTowerConfig
from ernie_vil2.errors import UserError
from ernie_vil2.studies.operations import has_counts, view_flops


def product(rows, inner, columns, times=1):
    """Operations of [rows, inner] x [inner, columns]."""
    return times * 2 * rows * inner * columns


@pytest.fixture
def config():
    """Patches of 2 x 2 of an image of 4 x 4, so 5 tokens; 2 blocks of width 6, 2 heads, MLP of 12, embeddings of 3."""
    tower = {"width": 6, "depth": 2, "heads": 2, "mlp_ratio": 2.0, "projection": 3}
    return ModelConfig(
        image_tower=ImageTowerConfig(image_size=4, patch_size=2, **tower),
        text_tower=TextTowerConfig(vocab_size=9, positions=8, **tower),
        max_length=7,
        pixels=PixelProfile(size=4),
    )


def block(tokens):
    weights = product(tokens, 6, 18) + product(tokens, 6, 6) + product(tokens, 6, 12) + product(tokens, 12, 6)
    attention = product(tokens, 3, tokens, times=2) + product(tokens, tokens, 3, times=2)
    return weights + attention


def test_every_product_of_both_towers_is_counted(config):
    image, text = view_flops(config)
    assert image == product(4, 12, 6) + 2 * block(5) + product(1, 6, 3)
    assert text == 2 * block(7) + product(1, 6, 6) + product(1, 6, 3)


def test_a_caption_costs_what_its_own_tokens_cost(config):
    assert view_flops(config, 3)[1] == 2 * block(3) + product(1, 6, 6) + product(1, 6, 3)
    assert view_flops(config, 3)[0] == view_flops(config)[0]


def test_the_base_size_is_that_of_the_literature():
    image, text = view_flops(ModelConfig(), 12)
    assert image == pytest.approx(2 * 17.6e9, rel=0.01)  # ViT-B/16
    assert text == pytest.approx(2 * 12 * 85e6, rel=0.01)  # a weight of the blocks works once on every token


def test_other_towers_are_said_not_to_be_counted(config):
    other = dataclasses.replace(
        config, image_tower=EfficientNetConfig(variant="b0", image_size=32, projection=3), pixels=PixelProfile(size=32)
    )
    alone = dataclasses.replace(config, image_tower=None)
    for one, kinds in ((other, "efficientnet and ernie"), (alone, "with ernie")):
        assert not has_counts(one)
        with pytest.raises(UserError, match=f"are counted for the system .* {kinds}; measure that"):
            view_flops(one)

"""Factors of EfficientNets that nobody published, found from numbers of blocks and channels."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.checkpoints.efficientnet_sizes import depth_factor, scaled, width_factor
from ernie_vil2.config.tower_fields import EFFICIENTNETS, STAGES, EfficientNetConfig

OF_B0 = (32, *(channels for *_, channels in STAGES), 1280)


@given(st.integers(1, 600), st.integers(1, 600))
def test_what_is_found_gives_the_same_blocks_and_channels(width, depth):
    config = EfficientNetConfig(width_factor=width / 100, depth_factor=depth / 100)
    found = depth_factor(config.stage_depths())
    assert EfficientNetConfig(depth_factor=found).stage_depths() == config.stage_depths() and found <= depth / 100 + 1
    found = EfficientNetConfig(width_factor=width_factor((of_b0, config.channels(of_b0)) for of_b0 in OF_B0))
    assert [found.channels(of_b0) for of_b0 in OF_B0] == [config.channels(of_b0) for of_b0 in OF_B0]


@pytest.mark.parametrize("variant", EFFICIENTNETS)
def test_published_sizes_come_back(variant):
    """Or others that give the same blocks, as 1.1 does for b2."""
    config = EfficientNetConfig(variant=variant)
    width = width_factor((of_b0, config.channels(of_b0)) for of_b0 in OF_B0)
    found = EfficientNetConfig(width_factor=width, depth_factor=depth_factor(config.stage_depths()))
    assert found.blocks() == config.blocks() and found.width == config.width


def test_the_shortest_decimals_and_no_vote_for_a_few_wrong_channels():
    assert depth_factor([1, 2, 2, 2, 2, 3, 1]) == 0.6
    small = [(of_b0, EfficientNetConfig(width_factor=0.1).channels(of_b0)) for of_b0 in OF_B0]
    assert width_factor([*small[1:], (32, 999)]) == width_factor(small) == 0.1
    assert width_factor([(1280, 40), (32, 999), (16, 777)]) is None
    assert depth_factor([1, 9, 1, 1, 1, 1, 1]) is None and depth_factor([1, 1]) is None


def test_a_layer_that_is_missing_has_no_vote():
    base = EfficientNetConfig(variant="b0", projection=0)
    wanted = EfficientNetConfig(width_factor=0.1, depth_factor=0.6)
    sizes = {f"visual.blocks.{index}.project_norm.weight": block.outputs for index, block in enumerate(wanted.blocks())}
    sizes |= {"visual.head_norm.weight": wanted.width}
    found = scaled(base, wanted.stage_depths(), sizes.get)
    assert (found.width_factor, found.depth_factor) == (0.1, 0.6)
    assert scaled(base, [1, 9, 1, 1, 1, 1, 1], sizes.get) is None

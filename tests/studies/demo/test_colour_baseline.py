"""The baseline sees colours and words and nothing else, and is really fitted."""

import numpy as np
import pytest

from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.studies.demo.colour_baseline import Split, bag_of_words, colour_baseline, colour_histogram


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    build_vocab(path, scenes=500)
    return Tokenizer(path, 64)


def split(name, size, tokenizer):
    return Split(SceneSource(name, size, image_size=32, languages="zh"), tokenizer)


def test_the_histogram_forgets_where_a_colour_is():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    shuffled = images.reshape(3, 64, 3)[:, rng.permutation(64)].reshape(images.shape)
    np.testing.assert_allclose(colour_histogram(images, 4), colour_histogram(shuffled, 4), atol=1e-7)
    np.testing.assert_allclose((colour_histogram(images, 6) ** 2).sum(1), 1, rtol=1e-5)
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    assert colour_histogram(white, 4)[0, -1] == 1


def test_the_bag_forgets_order_and_padding():
    bag = bag_of_words(np.array([[1, 5, 4, 2, 0], [1, 4, 5, 5, 2]]), 7)
    np.testing.assert_array_equal(bag[0], bag[1])
    assert bag[0].sum() == 4 and bag[0, 0] == 0


def test_it_learns_far_above_chance_and_nothing_from_mismatched_captions(tokenizer):
    train, valid, test = split("train", 600, tokenizer), split("valid", 100, tokenizer), split("test", 200, tokenizer)
    chance = 100 / 200
    assert colour_baseline(train, valid, test)["t2i_r1"] > 5 * chance
    train.images = train.images[np.random.default_rng(0).permutation(600)]
    assert colour_baseline(train, valid, test)["t2i_r1"] < 5 * chance

"""The baseline sees colours and words and nothing else, and is really fitted."""

import numpy as np
import pytest

from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.studies.demo.colour_baseline import Split, bag_of_words, colour_baseline


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    path = tmp_path_factory.mktemp("vocab") / "vocab.txt"
    build_vocab(path, scenes=500)
    return Tokenizer(path, 64)


def split(name, size, tokenizer):
    return Split(SceneSource(name, size, image_size=32, languages="zh"), tokenizer)


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

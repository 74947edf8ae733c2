"""Likeness of colours alone and of words alone."""

import math

import numpy as np

from ernie_vil2.evaluation.metrics.plain_likeness import colour_histogram, word_cosines, word_set


def test_the_histogram_forgets_where_a_colour_is():
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (3, 8, 8, 3), dtype=np.uint8)
    shuffled = images.reshape(3, 64, 3)[:, rng.permutation(64)].reshape(images.shape)
    np.testing.assert_allclose(colour_histogram(images, 4), colour_histogram(shuffled, 4), atol=1e-7)
    np.testing.assert_allclose((colour_histogram(images, 6) ** 2).sum(1), 1, rtol=1e-5)
    white = np.full((1, 4, 4, 3), 255, np.uint8)
    assert colour_histogram(white, 4)[0, -1] == 1


def test_words_are_chinese_characters_and_whole_other_words():
    assert word_set("大红圆，A big, BIG circle: 3") == set("大红圆") | {"a", "big", "circle", "3"}
    assert word_set("，。:") == frozenset()


def test_word_cosines_are_those_of_the_definition():
    first, second = ["a red cat", "a dog", "a"], ["cat a", "a fish", "a dog"]
    weight = {"red": math.log(6), "cat": math.log(6 / 2), "dog": math.log(6 / 2), "fish": math.log(6)}
    one = weight["cat"] / math.hypot(weight["red"], weight["cat"])  # `a` is everywhere, so it weighs nothing
    np.testing.assert_allclose(word_cosines(first, second), [one, 0, 0], atol=1e-12)


def test_order_and_number_of_words_change_nothing():
    found = word_cosines(["红圆在蓝方左", "红圆红圆", "红圆", "绿"], ["蓝方左在红圆", "圆红", "方蓝", "绿，绿"])
    np.testing.assert_allclose(found, [1, 1, 0, 1], atol=1e-12)

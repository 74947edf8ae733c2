"""The drawn scenes: the same everywhere, nothing of the unseen split in training, words that describe what is drawn."""

import hashlib
import itertools

import numpy as np
import pytest

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.scenes.captions import caption, chatter, incomplete_caption, tags
from ernie_vil2.data.sources.scenes.drawing import draw_object, render
from ernie_vil2.data.sources.scenes.scene import Group, Scene, held_out
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.vocabulary import build_vocab
from ernie_vil2.data.sources.scenes.words import BACKGROUNDS, COLOURS, SHAPES, SIZES
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.errors import UserError


def test_a_sample_depends_on_seed_split_and_index_alone():
    source = SceneSource("train", 100, seed=3)
    again = SceneSource("train", 50, seed=3, cache=True)
    for index in (41, 0, 41):
        one, two = source[index], again[index]
        assert (one.id, one.texts, one.tags) == (two.id, two.texts, two.tags)
        np.testing.assert_array_equal(one.image, two.image)
    others = [SceneSource("train", 100, seed=4)[41], SceneSource("valid", 100, seed=3)[41], source[40]]
    assert all(not np.array_equal(source[41].image, other.image) for other in others)
    assert len({sample.id for sample in [*others, source[41]]}) == 4


def test_every_unseen_scene_holds_a_combination_that_training_never_shows():
    def kinds(split, size):
        source = SceneSource(split, size)
        return [{(group.shape, group.colour, group.size) for group in source.scene(i).groups} for i in range(size)]

    known = set().union(*kinds("train", 4000), *kinds("valid", 500))
    everything = set(itertools.product(SHAPES, COLOURS, SIZES))
    unseen = {kind for kind in everything if held_out(*kind)}
    assert known == everything - unseen
    assert len(unseen) == len(everything) / 4
    for two in ((0, 1), (0, 2), (1, 2)):
        assert {tuple(kind[i] for i in two) for kind in known} == {tuple(kind[i] for i in two) for kind in everything}
    assert all(scene & unseen for scene in kinds("test", 500))


def test_scenes_vary_in_everything_that_captions_tell():
    scenes = [SceneSource("train", 400).scene(index) for index in range(400)]
    groups = [group for scene in scenes for group in scene.groups]
    assert {len(scene.groups) for scene in scenes} == {2, 3}
    assert {group.count for group in groups} == {1, 2, 3}
    assert {group.size for group in groups} == {"big", "small"}
    assert {group.material for group in groups} == {"plain", "metal", "striped"}
    assert {scene.background for scene in scenes} == set(BACKGROUNDS)
    assert {group.cells[0] for group in groups} == set(itertools.product(range(3), range(3)))


def test_captions_name_each_object_by_words_for_its_shape_and_colour():
    for index in range(60):
        scene = SceneSource("test", 60).scene(index)
        rng = np.random.default_rng(index)
        for language, number in (("zh", 0), ("en", 1)):
            text = caption(scene, language, rng)
            for group in scene.groups:
                assert any(word in text for word in SHAPES[group.shape][number]), (text, group)
                assert any(word in text for word in COLOURS[group.colour][number]), (text, group)


def test_captions_paraphrase_and_tags_are_as_noisy_as_a_detector():
    scene = Scene(
        (Group("ring", "blue", "small", "plain", ((0, 0), (1, 1))), Group("star", "red", "big", "metal", ((2, 2),))),
        "sand",
    )
    rng = np.random.default_rng(0)
    assert len({caption(scene, "zh", rng) for _ in range(200)}) > 100
    drawn = [tags(scene, "zh", rng) for _ in range(2000)]
    rings = np.array([found.count("蓝色圆环") for found in drawn])
    assert 0.75 < rings.mean() / 2 < 0.9 and (rings == 2).any() and (rings == 0).any()
    wrong = np.mean([any(tag not in ("蓝色圆环", "红色五角星", "沙滩") for tag in found) for found in drawn])
    assert 0.1 < wrong < 0.35


def test_a_drawn_object_is_where_the_scene_says_in_its_colour():
    scene = Scene((Group("circle", "red", "big", "plain", ((0, 2),)),), "snow")
    for seed in range(20):
        image = render(scene, np.random.default_rng(seed), 96)[0].astype(int)
        centre = image[10:26, 70:86].reshape(-1, 3).mean(0)
        assert image.shape == (96, 96, 3) and centre[0] > centre[1] + 40 and centre[0] > centre[2] + 40


def test_a_box_holds_the_pixels_of_its_object_and_no_edge_more():
    rng = np.random.default_rng(0)
    for shape, size, cell in itertools.product(SHAPES, SIZES, ((0, 0), (1, 2), (2, 1))):
        canvas = np.zeros((60, 60, 3), np.float32)  # on black a shadow shows nothing
        x1, y1, x2, y2 = draw_object(canvas, Group(shape, "red", size, "plain", (cell,)), *cell, rng)
        rows, columns = np.nonzero(canvas.any(2))
        assert (x1, y1, x2, y2) == (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1), shape


def test_a_sample_has_a_box_in_the_cell_of_each_object():
    source = SceneSource("test", 40)
    for index, sample in enumerate(source):
        cells = [cell for group in source.scene(index).groups for cell in group.cells]
        assert len(sample.boxes) == len(cells)
        for (x1, y1, x2, y2), (row, column) in zip(sample.boxes, cells, strict=True):
            assert 0 <= x1 < x2 <= 60 and 0 <= y1 < y2 <= 60
            assert abs((x1 + x2) / 2 - 20 * column - 10) < 8 and abs((y1 + y2) / 2 - 20 * row - 10) < 8
    assert all(len(sample.boxes) for sample in SceneSource("train", 20, image_size=2))


def test_the_vocabulary_covers_the_words_of_every_split(tmp_path):
    build_vocab(tmp_path / "vocab.txt", scenes=1500)
    tokenizer = Tokenizer(tmp_path / "vocab.txt", 64)
    for split in ("train", "test"):
        for sample in SceneSource(split, 200):
            ids = tokenizer.encode([*sample.texts, *sample.tags])
            assert not (ids == tokenizer.unk_id).any()
            assert tokenizer.lengths(sample.texts).max() <= 64


def test_a_source_can_be_named_in_a_configuration():
    source = open_source({"kind": "scenes", "split": "test", "size": 7, "languages": "zh", "captions": 3})
    assert len(source) == 7 and len(source[6].texts) == 3 and "7 drawn scenes" in source.describe()
    with pytest.raises(IndexError):
        source[7]
    values = {"split": "tset"}, {"languages": ["fr"]}, {"size": 0}, {"size": "x"}, {"seed": -1}, {"languages": 5}
    for wrong in (*values, {"captions": 1.5}, {"image_size": 1}):  # a box in one pixel reads as a fraction
        with pytest.raises(UserError):
            open_source({"kind": "scenes", **wrong})


def test_noise_changes_its_share_of_captions_and_nothing_else():
    clean, noisy = SceneSource("train", 600), SceneSource("train", 600, noise=0.3, wrong=0.2)
    wrong_only = SceneSource("train", 600, wrong=0.2)
    changed, wrong = [], []
    for one, two, three in zip(clean, noisy, wrong_only, strict=True):
        assert (one.id, one.tags, len(one.texts)) == (two.id, two.tags, len(two.texts))
        np.testing.assert_array_equal(one.image, two.image)
        changed += [before != after for before, after in zip(one.texts, two.texts, strict=True)]
        wrong += [before != after for before, after in zip(one.texts, three.texts, strict=True)]
    assert 0.45 < np.mean(changed) < 0.55 and 0.16 < np.mean(wrong) < 0.24
    assert [sample.texts for sample in SceneSource("train", 9, noise=0.3, wrong=0.2)] == [
        sample.texts for sample in SceneSource("train", 600, noise=0.3, wrong=0.2).samples(stop=9)
    ]
    assert "30% incomplete and 20% wrong" in noisy.describe() and "incomplete" not in clean.describe()


def test_incomplete_captions_leave_out_objects_or_colours_and_say_nothing_wrong():
    star = Group("star", "red", "big", "metal", ((0, 0),))
    squares = Group("square", "blue", "small", "plain", ((1, 1),))
    scene = Scene((star, squares, Group("heart", "green", "big", "plain", ((0, 2),))), "snow")
    rng = np.random.default_rng(0)
    absent = [kind for kind in SHAPES if kind not in ("star", "square", "heart")]
    for language, number in (("zh", 0), ("en", 1)):
        counts = set()
        for _ in range(200):
            text = incomplete_caption(scene, language, rng)
            named = sum(any(word in text for word in SHAPES[group.shape][number]) for group in scene.groups)
            coloured = sum(any(word in text for word in COLOURS[group.colour][number]) for group in scene.groups)
            assert 1 <= named <= 3 and coloured <= named and (named, coloured) != (3, 3)
            assert not any(SHAPES[kind][number][0] in text for kind in absent)
            counts.add((named, coloured))
        assert len(counts) == 8


def test_noisy_captions_have_no_unknown_words(tmp_path):
    build_vocab(tmp_path / "vocab.txt", scenes=1500)
    tokenizer = Tokenizer(tmp_path / "vocab.txt", 64)
    texts = [text for sample in SceneSource("train", 200, noise=0.5, wrong=0.5) for text in sample.texts]
    rng = np.random.default_rng(0)
    texts += [chatter(language, rng) for language in ("zh", "en") for _ in range(100)]
    assert not (tokenizer.encode(texts) == tokenizer.unk_id).any()


@pytest.mark.parametrize(
    "options",
    [
        {"noise": -0.1},
        {"wrong": 1.5},
        {"noise": 0.6, "wrong": 0.6},
        {"noise": True},
        {"noise": "much"},
        {"noise": 0.1, "split": "test"},
    ],
)
def test_impossible_noise_is_refused(options):
    with pytest.raises(UserError, match="noise|wrong"):
        open_source({"kind": "scenes", **options})


def test_without_noise_samples_are_what_they_always_were():
    digest = hashlib.sha256()
    for split in ("train", "valid", "test"):
        for sample in SceneSource(split, 12):
            digest.update(repr((sample.id, sample.texts, sample.tags)).encode())
    assert digest.hexdigest() == "1f440b56dd8a3b5aa1c966cbc7b8b2d373c0d0d84f206e981da2974ab7e02f9a"

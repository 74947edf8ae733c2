"""How alike two scenes are: the same either way, highest for one scene alone, and graded by what was changed."""

import itertools
from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from ernie_vil2.data.sources.scenes.captions import caption, tags
from ernie_vil2.data.sources.scenes.changes import CHANGES, changed, colours_of_two, places_of_two
from ernie_vil2.data.sources.scenes.graded_pairs import MOST_CHANGES, graded_pair, scene_pair
from ernie_vil2.data.sources.scenes.likeness import likeness, shown_kinds
from ernie_vil2.data.sources.scenes.scene import Group, Scene
from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.scenes.words import BACKGROUNDS, COLOURS, MATERIALS, SHAPES, SIZES
from ernie_vil2.errors import ConfigError

RINGS = Group("ring", "blue", "small", "plain", ((0, 0), (1, 1)))
STAR = Group("star", "red", "big", "metal", ((2, 2),))
HEART = Group("heart", "green", "big", "striped", ((0, 2),))
TWO, THREE = Scene((RINGS, STAR), "sand"), Scene((RINGS, STAR, HEART), "sand")


class First:
    """Random numbers by which a caption tells everything in its first words, and a detector misses nothing."""

    def random(self):
        return 0.45

    def integers(self, *limits):
        return 0

    def permutation(self, number):
        return np.arange(number)


@pytest.fixture(scope="module")
def pairs():
    return [scene_pair(1, index) for index in range(600)]


@pytest.mark.parametrize(
    "first, second, points, highest",
    [
        (TWO, TWO, 25, 25),
        (TWO, replace(TWO, background="snow"), 20, 25),
        (TWO, replace(TWO, groups=(RINGS, replace(STAR, size="small"))), 24, 25),
        (TWO, replace(TWO, groups=(RINGS, replace(STAR, material="plain"))), 24, 25),
        (TWO, replace(TWO, groups=(RINGS, replace(STAR, cells=((1, 0),)))), 24, 25),
        (TWO, replace(TWO, groups=(RINGS, replace(STAR, colour="white"))), 22, 25),
        (TWO, replace(TWO, groups=(RINGS, replace(STAR, shape="cross"))), 22, 25),
        (TWO, replace(TWO, groups=(replace(RINGS, cells=((1, 1),)), STAR)), 23.5, 25),
        (TWO, replace(TWO, groups=(replace(RINGS, colour="red"), replace(STAR, colour="blue"))), 19, 25),
        (TWO, THREE, 25, 35),
        (THREE, replace(THREE, groups=(HEART, RINGS, STAR)), 35, 35),
        (TWO, Scene((Group("heart", "black", "small", "striped", ((0, 1), (0, 2), (1, 2))),) * 2, "wood"), 1, 25),
    ],
)
def test_points_counted_by_hand(first, second, points, highest):
    assert likeness(first, second) == pytest.approx(5 * (points / highest) ** 2, abs=1e-12)


def test_nothing_in_common_is_zero():
    other = Group("heart", "black", "big", "striped", ((0, 2),))
    alone = Scene((RINGS,), "sand")
    assert likeness(alone, Scene((other,), "snow")) == 0 < likeness(alone, Scene((other,), "sand"))


def test_it_is_the_same_either_way_and_within_its_range(pairs):
    scenes = [scene for first, second, _ in pairs[:40] for scene in (first, second)]
    for first, second in itertools.combinations(scenes, 2):
        assert 0 <= likeness(first, second) == likeness(second, first) <= 5


def facts(scene):
    """All that a scene is, without the order of groups and cells."""
    return frozenset(replace(group, cells=frozenset(group.cells)) for group in scene.groups), scene.background


def test_five_is_for_one_scene_alone_in_whatever_order(pairs):
    scenes = [scene for first, second, _ in pairs[:60] for scene in (first, second)]
    for first, second in itertools.combinations_with_replacement(scenes, 2):
        assert (likeness(first, second) == 5) == (facts(first) == facts(second))
    for scene in scenes:
        turned = tuple(replace(group, cells=group.cells[::-1]) for group in scene.groups[::-1])
        assert likeness(scene, replace(scene, groups=turned)) == 5


def test_it_falls_in_mean_with_the_number_of_changes(pairs):
    labels = {changes: [] for changes in range(MOST_CHANGES + 2)}
    for first, second, changes in pairs:
        labels[changes].append(likeness(first, second))
    means = [np.mean(labels[changes]) for changes in labels]
    assert set(labels[0]) == {5.0} and max(labels[1]) < 5
    assert all(before > after + 0.2 for before, after in itertools.pairwise(means))


def test_every_fifth_of_the_range_has_its_share(pairs):
    labels = [likeness(first, second) for first, second, _ in pairs]
    assert np.histogram(labels, np.linspace(0, 5, 6))[0].min() > 0.08 * len(pairs)


def test_changes_lead_to_scenes_that_could_have_been_drawn(pairs):
    for _, scene, _ in pairs:
        cells = [cell for group in scene.groups for cell in group.cells]
        assert len(set(cells)) == len(cells) and set(cells) <= set(itertools.product(range(3), range(3)))
        assert len({(group.shape, group.colour) for group in scene.groups}) == len(scene.groups) in (2, 3)
        assert scene.background in BACKGROUNDS
        for group in scene.groups:
            assert group.count <= (1 if group.size == "big" else 3)
            assert group.shape in SHAPES and group.colour in COLOURS
            assert group.size in SIZES and group.material in MATERIALS


def test_every_kind_of_change_happens():
    rng, led = np.random.default_rng(0), Counter()
    for _ in range(60):
        for kind in CHANGES:
            led[kind] += likeness(THREE, kind(THREE, rng)) < 5
    assert len(led) == len(CHANGES) and min(led.values()) > 0


def test_each_change_takes_something_away():
    for seed in range(40):
        steps = [changed(THREE, number, np.random.default_rng(seed)) for number in range(5)]
        labels = [likeness(THREE, scene) for scene in steps]
        assert all(before > after for before, after in itertools.pairwise(labels))


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("swap", [colours_of_two, places_of_two])
def test_a_swap_is_another_scene_in_the_same_words(swap, language):
    scene = Scene((STAR, HEART), "water")
    other = swap(scene, np.random.default_rng(0))
    one, two = (caption(each, language, First()) for each in (scene, other))
    assert likeness(scene, other) < 5 and one != two
    words = list if language == "zh" else lambda text: text.replace(",", "").split()
    assert Counter(words(one)) == Counter(words(two))


def test_a_pair_depends_on_seed_and_index_alone():
    assert [graded_pair(3, index) for index in (7, 2)] == [graded_pair(3, index) for index in (2, 7)][::-1]
    assert len({graded_pair(seed, index) for seed in (0, 1) for index in range(20)}) == 40
    for index in range(20):
        (one, _, label), (other, _, same) = (graded_pair(3, index, language) for language in ("zh", "en"))
        assert label == same == likeness(*scene_pair(3, index)[:2]) and one.isascii() < other.isascii()
    with pytest.raises(ConfigError, match="'fr' is none of captions; take one of zh, en"):
        graded_pair(3, 0, "fr")


def test_labels_are_what_a_faultless_detector_names():
    source = SceneSource("test", 40)
    scenes = [source.scene(index) for index in range(40)]
    named = [{tag for tag in tags(scene, "en", First()) if " " in tag} for scene in scenes]
    marks = np.stack([shown_kinds(scene) for scene in scenes])
    assert marks.shape == (40, 64) and marks.sum(1).tolist() == [len(found) for found in named]
    for first, second in itertools.product(range(40), repeat=2):
        assert (marks[first] & marks[second]).sum() == len(named[first] & named[second])

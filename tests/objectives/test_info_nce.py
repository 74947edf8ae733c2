"""InfoNCE over tiles and ranks against the softmax in one piece, in extended precision."""

import functools
import math

import numpy as np
import pytest

from ernie_vil2.objectives import tiles
from ernie_vil2.objectives.comparison import Comparison
from ernie_vil2.objectives.info_nce import info_nce
from tests.objectives import plain
from tests.objectives.problems import SCALE, TARGETS, features, found_by, labels, leaves, shares

SIZES = {"few": (25, 64), "many": (389, 64), "wide": (97, 768)}
KINDS = ("loose", "tight", "saturated", "cone")
DIVISIONS = {
    "one tile": (tiles.CPU_TILE, 1.0),
    "ragged tiles": (1000, 1.0),
    "two ranks": (700, 0.6, 0.4),
    "three ranks": (1500, 0.5, 0.45, 0.05),
}
"""Entries of a tile, and the parts of the rows that ranks have."""


def counts_of(size, parts):
    """Rows of each rank."""
    ends = np.round(size * np.cumsum(parts)).astype(int)
    return np.diff(ends, prepend=0).tolist()


def related(size, how):
    """(Labels of a batch, bool [N, N] of the positives of image-caption, bool [N] of the samples with both)."""
    images, captions, used = np.arange(size), np.arange(size) + 1000, np.ones(size, bool)
    if how in ("images", "crossing", "absent"):
        images[size // 2 :: 3] = images[0 : len(images[size // 2 :: 3])]
    if how in ("texts", "crossing", "absent"):
        captions[1::5] = captions[2]
        captions[size // 2 - 1] = captions[size // 2]  # and that one shows the image of the first
    if how == "absent":
        used[[0, 3, size - 1]] = used[size // 3 : size // 2] = False
    whole = labels(images, {"caption": captions}, {} if used.all() else {"caption": used})
    pairs = [[images[i] == images[j] or captions[i] == captions[j] for j in range(size)] for i in range(size)]
    return whole, np.array(pairs), used


@functools.cache
def problem(kind, name, how):
    """(x, y, Labels, used, what the reference finds)."""
    size, width = SIZES[name]
    x, y = features(kind, size, width)
    whole, same, used = related(size, how)
    return x, y, whole, used, plain.info_nce(x, y, SCALE, same, used)


def check(found, wanted, count, close=1e-6):
    """Each value and norm within 1e-6, the gradient of the scale within 1e-5; each gradient as a whole within `close`,
    which is wider where embeddings are near each other, so that the sums over them nearly cancel."""
    for name, bound in (("loss", 1e-6), ("x", 1e-6), ("y", 1e-6), ("scale", 1e-5)):
        value, norm = found[name] / count, np.linalg.norm(wanted[name])
        assert abs(np.linalg.norm(value) - norm) <= bound * norm, name
        assert np.linalg.norm(value - wanted[name]) <= max(bound, close) * norm, name


@pytest.mark.parametrize("division", DIVISIONS)
@pytest.mark.parametrize("how", ["one", "images", "texts", "crossing", "absent"])
@pytest.mark.parametrize("kind", KINDS)
def test_value_and_gradients_are_those_of_extended_precision(monkeypatch, kind, how, division):
    tile, *parts = DIVISIONS[division]
    monkeypatch.setattr(tiles, "CPU_TILE", tile)
    x, y, whole, used, wanted = problem(kind, "wide" if how in ("one", "absent") else "few", how)
    if how == "one" and kind in TARGETS:
        assert wanted["loss"] == pytest.approx(TARGETS[kind], rel=0.05)
    found = found_by(x, y, SCALE, whole, counts_of(len(x), parts))
    check(found, wanted, used.sum(), 1e-5 if kind == "cone" else 1e-6)


@pytest.mark.parametrize("kind, how, division", [("saturated", "one", "one tile"), ("tight", "absent", "three ranks")])
def test_many_samples_are_as_exact(monkeypatch, kind, how, division):
    tile, *parts = DIVISIONS[division]
    monkeypatch.setattr(tiles, "CPU_TILE", tile)
    x, y, whole, used, wanted = problem(kind, "many", how)
    check(found_by(x, y, SCALE, whole, counts_of(len(x), parts)), wanted, used.sum())


@pytest.mark.parametrize("tile", [1, 16, 24, 36, 600, 620, 625])
def test_no_size_of_a_tile_matters(monkeypatch, tile):
    """25 rows: tiles of one entry, of one row, with a last row and a last column by itself, and nearly one tile."""
    monkeypatch.setattr(tiles, "CPU_TILE", tile)
    x, y, whole, used, wanted = problem("tight", "few", "absent")
    check(found_by(x, y, SCALE, whole, [25]), wanted, used.sum())


@pytest.mark.parametrize("apart", [0.0, 1e-6])
@pytest.mark.parametrize("counts", [[24], [9, 10, 5]])
def test_positives_that_are_alike_leave_no_rounding(monkeypatch, counts, apart):
    """Every sample twice: what is left of the gradient is the share of the negatives, some 1e-9, or what comes of a
    difference that is nearly rounding itself."""
    monkeypatch.setattr(tiles, "CPU_TILE", 90)
    x, y = (np.repeat(side, 2, 0) for side in features("saturated", 12, 64))
    y += apart * features("loose", 24, 64)[0]
    images = np.arange(24) // 2
    wanted = plain.info_nce(x, y, SCALE, images[:, None] == images)
    assert wanted["loss"] == pytest.approx(math.log(2)) and np.linalg.norm(wanted["x"]) < (1e-3 if apart else 2e-7)
    check(found_by(x, y, SCALE, labels(images), counts), wanted, 24, close=1e-4)


@pytest.mark.parametrize("views", [("caption", "caption'"), ("caption", "tags"), ("image", "image'")])
@pytest.mark.parametrize("rule", ["by_id", "one"])
def test_texts_of_both_views_decide_over_ranks(monkeypatch, views, rule):
    """The text of one view may be that of the other view of another sample, and not the other way round."""
    monkeypatch.setattr(tiles, "CPU_TILE", 60)
    x, y = features("tight", 25, 64)
    rng = np.random.default_rng(1)
    images, first, second = rng.integers(0, 60, 25), rng.integers(0, 90, 25), rng.integers(0, 90, 25)
    by_text = [first[:, None] == first, second[:, None] == second, first[:, None] == second]
    if "image" in views:
        by_text = []
    same = np.any([images[:, None] == images, *by_text], axis=0) if rule == "by_id" else np.zeros((25, 25), bool)
    np.fill_diagonal(same, True)
    assert rule == "one" or (same.sum() > 29 and (not by_text or (same != same.T).any()))
    whole = labels(images, dict(zip(views, (first, second), strict=True)))
    found = found_by(x, y, SCALE, whole, [11, 14], views, rule)
    check(found, plain.info_nce(x, y, SCALE, same), 25)


@pytest.mark.parametrize("learning", [(), ("x",), ("y",), ("scale",), ("x", "scale"), ("x", "y", "scale")])
def test_gradients_go_where_something_learns(learning):
    x, y, whole, used, wanted = problem("tight", "few", "crossing")
    tensors = dict(zip(("x", "y", "scale"), leaves(x, y, [SCALE]), strict=True))
    for name, tensor in tensors.items():
        tensor.stop_gradient = name not in learning
    comparison = Comparison(whole, whole, "image", "caption", "by_id")
    loss = info_nce([(comparison, *tensors.values())], *shares([25]))[0]
    assert loss.stop_gradient == (not learning)
    assert loss.item() / 25 == pytest.approx(wanted["loss"], rel=1e-6)
    if learning:
        (loss * 3.0).backward()
    for name, tensor in tensors.items():
        assert (tensor.grad is not None) == (name in learning), name
        if name in learning:
            error = np.linalg.norm(tensor.grad.numpy() / 75 - wanted[name])
            assert error < 1e-5 * np.linalg.norm(wanted[name]), name


def test_pairs_of_one_call_have_their_own_sums():
    """Two pairs over two ranks, with scales of their own: their sums travel together."""
    first, second = problem("tight", "few", "crossing"), problem("loose", "few", "images")
    alone = [found_by(*of[:2], scale, of[2], [25])["loss"] for of, scale in ((first, 50.0), (second, 20.0))]
    both = found_by(*first[:2], 50.0, first[2], [10, 15], others=[(*second[:2], 20.0, second[2])])
    assert both["others"] == pytest.approx(alone[1:], rel=1e-6) and both["loss"] == pytest.approx(alone[0], rel=1e-6)


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("counts", [[25], [12, 13]])
def test_a_nan_is_seen(monkeypatch, side, counts):
    monkeypatch.setattr(tiles, "CPU_TILE", 100)
    x, y, whole, *_ = problem("loose", "few", "one")
    sides = [x.copy(), y.copy()]
    sides[side][20, 3] = math.nan
    found = found_by(*sides, SCALE, whole, counts)
    assert math.isnan(found["loss"]) and np.isnan(found["x"]).any() and np.isnan(found["y"]).any()


@pytest.mark.parametrize("counts", [[24], [7, 17]])
def test_equal_embeddings_cost_the_logarithm_of_the_batch(counts):
    x = np.repeat(features("loose", 1, 64)[0], 24, 0)
    found = found_by(x, x, SCALE, labels(np.arange(24)), counts)
    assert found["loss"] / 24 == pytest.approx(math.log(24), rel=1e-6)
    assert np.abs(found["x"]).max() < 1e-5 * SCALE and abs(found["scale"]) < 1e-5


@pytest.mark.parametrize("right", [True, False])
def test_logits_200_apart_are_finite_and_right(right):
    """Cosines of -1 and 1 at scale 100: a pair that is found costs 23 exp(-200), one that is not 200."""
    x = np.zeros((24, 8), np.float32)
    x[:, 0] = [-1.0] + [1.0] * 23
    found = found_by(x, x if right else -x, 100.0, labels([1] + [2] * 23), [10, 14])
    # the first: log(1 + 23 exp(-200)); the others have 23 positives that are alike, and one negative
    if right:
        assert found["loss"] / 24 == pytest.approx(23 * math.log(23) / 24, rel=1e-6)
        assert np.abs(found["x"]).max() < 1e-6 and np.abs(found["y"]).max() < 1e-6
    else:
        first, others = 200.0 + math.log(23), 200.0 + math.log(1 + 23 * math.exp(-200.0))
        assert found["loss"] / 24 == pytest.approx((first + 23 * others) / 24, rel=1e-6)
        assert found["scale"] / 24 == pytest.approx(2.0, rel=1e-5)
    assert all(np.isfinite(value).all() for value in found.values())


def test_a_sample_by_itself_loses_nothing():
    x, y = features("loose", 1, 64)
    found = found_by(x, y, SCALE, labels([7]), [1])
    assert found["loss"] == 0.0 and not any(np.any(found[name]) for name in ("x", "y", "scale"))


@pytest.mark.parametrize("counts", [[25], [3, 12, 10]])
def test_without_negatives_the_targets_are_the_softmax_that_is_wanted(monkeypatch, counts):
    monkeypatch.setattr(tiles, "CPU_TILE", 77)
    x, y = features("tight", 25, 64)
    found = found_by(x, y, SCALE, labels(np.full(25, 3)), counts)
    check(found, plain.info_nce(x, y, SCALE, np.ones((25, 25), bool)), 25)


@pytest.mark.parametrize("counts", [[25], [12, 13]])
def test_a_pair_that_no_sample_has_is_nothing_to_learn_from(counts):
    x, y = features("loose", 25, 64)
    whole = labels(np.arange(25), present={"caption": np.zeros(25)})
    found = found_by(x, y, SCALE, whole, counts)
    assert found["loss"] == 0.0 and not any(np.any(found[name]) for name in ("x", "y", "scale"))


@pytest.mark.parametrize("kind, bound", [("loose", 1e-6), ("tight", 1e-5), ("saturated", 1e-5), ("cone", 1e-5)])
@pytest.mark.parametrize("how", ["one", "crossing"])
def test_beyond_so_many_logits_fp32_will_do(monkeypatch, kind, bound, how):
    """389 rows, where rounding has not averaged out yet as it has over 4,096."""
    x, y, whole, used, wanted = problem(kind, "many", how)
    exact = found_by(x, y, SCALE, whole, [len(x)])
    monkeypatch.setattr(tiles, "MOST_EXACT", len(x) ** 2 - 1)
    found = found_by(x, y, SCALE, whole, [len(x)])
    assert not np.array_equal(found["x"], exact["x"])
    for name in ("loss", "x", "y", "scale"):
        norms = (np.linalg.norm(value[name]) for value in (found, wanted))
        assert next(norms) / used.sum() == pytest.approx(next(norms), rel=bound), name

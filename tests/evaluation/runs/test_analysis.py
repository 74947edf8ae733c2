"""The analysis equals a brute force over the whole matrix, whatever the blocks; also with ties and many positives."""

import base64
import json
import tracemalloc

import cv2
import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.embeddings import Embeddings
from ernie_vil2.evaluation.metrics import thresholds
from ernie_vil2.evaluation.metrics.ranks import TIE
from ernie_vil2.evaluation.runs.analysis import analyse
from ernie_vil2.evaluation.runs.analysis_record import check_analysis
from ernie_vil2.evaluation.runs.records import Outcome, Result

IMAGES, TEXTS, WIDTH = 17, 41, 6


def case(seed=0, pairs="several"):
    """An Outcome of random embeddings of few values, so that scores tie, also at round thresholds such as 0.5."""
    rng = np.random.default_rng(seed)
    image = rng.integers(-1, 2, (IMAGES, WIDTH)).astype(np.float32)
    text = rng.integers(-1, 2, (TEXTS, WIDTH)).astype(np.float32)
    owner = rng.integers(0, IMAGES, TEXTS)
    text[::2] = image[owner[::2]]
    known = np.stack([np.arange(TEXTS), owner], axis=1)
    if pairs == "several":
        known = np.concatenate([known[3:], np.stack([np.arange(5, 25), rng.integers(0, IMAGES, 20)], axis=1)])
    return Outcome([], "0", Embeddings(image, text, owner), known, tuple(f"text {row}" for row in range(TEXTS)))


def dense(outcome):
    """(scores [M, N], mask [M, N] of the right pairs) in float64."""
    rows = [part.astype(np.float64) for part in (outcome.embeddings.text, outcome.embeddings.image)]
    texts, images = (part / np.maximum(np.linalg.norm(part, axis=1, keepdims=True), 1e-300) for part in rows)
    right = np.zeros((len(texts), len(images)), bool)
    right[tuple(outcome.pairs.T)] = True
    return texts @ images.T, right


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("block", [1, 7, 100, 1 << 22])
def test_every_threshold_equals_a_brute_force(seed, block):
    outcome = case(seed)
    found = analyse(outcome, block)
    scores, right = dense(outcome)
    every = thresholds.decisions(found["positives"], found["negatives"])
    assert len(every) == 2001 and every[0].threshold == -1 and every[1500].threshold == 0.5
    assert np.any(np.abs(scores - 0.5) < TIE) and np.any(np.abs(scores - 1) < TIE)
    for one in every:
        same = scores >= one.threshold - TIE
        true, false = int((same & right).sum()), int((same & ~right).sum())
        assert (one.right_found, one.wrong_found) == (true, false)
        assert one.recall == pytest.approx(100 * true / right.sum())
        if true + false:
            assert one.precision == pytest.approx(100 * true / (true + false))
            rates = true / right.sum(), false / (~right).sum()
            assert one.balanced_precision == pytest.approx(100 * rates[0] / sum(rates))
            assert one.f1 == pytest.approx(200 * true / (2 * true + false + (right & ~same).sum()))
        else:
            assert one.precision is one.f1 is one.balanced_precision is one.balanced_f1 is None


@pytest.mark.parametrize("pairs", ["several", "one"])
def test_counts_sum_to_the_pairs(pairs):
    outcome = case(pairs=pairs)
    found = analyse(outcome, block=50)
    _, right = dense(outcome)
    assert sum(found["positives"]) == found["counts"]["positives"] == right.sum()
    assert sum(found["negatives"]) == found["counts"]["negatives"] == (~right).sum()
    assert sum(found["positives"]) + sum(found["negatives"]) == IMAGES * TEXTS


@pytest.mark.parametrize("seed", range(3))
def test_recall_and_hardest_errors_equal_a_brute_force(seed):
    outcome = case(seed)
    found = analyse(outcome, block=60)
    scores, right = dense(outcome)
    for name, matrix, mask in (("t2i", scores, right), ("i2t", scores.T, right.T)):
        asked = np.flatnonzero(mask.any(axis=1))
        wrong_best = np.where(mask, -np.inf, matrix).max(axis=1)[asked]
        right_best = np.where(mask, matrix, -np.inf).max(axis=1)[asked]
        rank = [
            (~mask[query] & (matrix[query] >= best - TIE)).sum() for query, best in zip(asked, right_best, strict=True)
        ]
        curve = [100 * np.mean(np.array(rank) < k) for k in range(1, matrix.shape[1] + 1)]
        assert found["recall"][name] == pytest.approx(curve)
        assert found["queries"][name] == len(asked) and found["wrong"][name] == np.count_nonzero(rank)
        margins = wrong_best - right_best
        errors = found["errors"][name]
        assert len(errors) == min(12, int((margins >= -TIE).sum())) > 0
        told = [error["wrong_score"] - error["right_score"] for error in errors]
        assert told == pytest.approx(np.sort(margins)[::-1][: len(errors)])
        for error in errors:
            query = error["query"]
            assert mask[query, error["right"]] and not mask[query, error["wrong"]]
            assert matrix[query, error["right"]] == pytest.approx(error["right_score"])
            assert matrix[query, error["wrong"]] == pytest.approx(error["wrong_score"])
            assert error["rank"] == rank[list(asked).index(query)] + 1 > 1


def test_blocks_change_nothing():
    outcome = case()
    assert analyse(outcome, block=30)["errors"] == analyse(outcome)["errors"]
    assert analyse(outcome, block=30)["negatives"] == analyse(outcome)["negatives"]


def test_a_perfect_model_has_no_errors_and_a_collapsed_one_only_errors():
    eye = np.eye(5)
    perfect = Outcome([], "0", Embeddings(eye, eye, np.arange(5)), None, tuple("abcde"))
    found = analyse(perfect)
    assert found["errors"] == {"t2i": [], "i2t": []} and found["recall"]["t2i"][0] == 100
    best = thresholds.picks(thresholds.decisions(found["positives"], found["negatives"]))["all pairs"]
    assert all(one.recall == one.precision == 100 for one in best.values())
    collapsed = Outcome([], "0", Embeddings(np.ones((5, 2)), np.ones((5, 2)), np.arange(5)), None, tuple("abcde"))
    found = analyse(collapsed)
    assert len(found["errors"]["t2i"]) == 5 and found["recall"]["t2i"] == [0, 0, 0, 0, 100]


def test_picks_are_the_best_of_all_thresholds():
    found = analyse(case(1))
    every = thresholds.decisions(found["positives"], found["negatives"])
    for variant, precision, f1 in (("all pairs", "precision", "f1"), ("balanced", "balanced_precision", "balanced_f1")):
        best = thresholds.picks(every)[variant]
        assert getattr(best["best F1"], f1) == max(getattr(one, f1) or 0 for one in every)
        for target in (90, 95, 99):
            reach = [one for one in every if one.right_found and getattr(one, precision) >= target]
            one = best[f"precision ≥ {target} %"]
            assert (one is None) == (not reach)
            assert one is None or (one in reach and one.recall == max(other.recall for other in reach))
    nothing = thresholds.picks(thresholds.decisions([1] + [0] * 2000, [0] * 2000 + [9]))
    assert nothing["all pairs"]["precision ≥ 90 %"] is None
    assert nothing["all pairs"]["best F1"].threshold == -1


def test_balanced_precision_does_not_depend_on_the_number_of_wrong_pairs():
    right, wrong = np.zeros(2001, int), np.zeros(2001, int)
    right[1200:1800], wrong[900:1400] = 1, 2
    one, many = thresholds.decisions(right, wrong), thresholds.decisions(right, wrong * 50)
    for few, more in zip(one, many, strict=True):
        assert few.balanced_precision == pytest.approx(more.balanced_precision)
        assert few.precision is None or few.precision >= more.precision
    assert one[1300].precision > 2 * many[1300].precision


def test_rows_are_few_and_cover_the_fall_of_recall():
    right, wrong = np.zeros(2001, int), np.zeros(2001, int)
    wrong[:] = 1
    for low, high in ((1200, 1210), (1200, 1800), (0, 2001)):
        right[:] = 0
        right[low:high] = 1
        shown = thresholds.rows(thresholds.decisions(right, wrong))
        assert 1 <= len(shown) <= thresholds.MOST_ROWS and shown[0].recall == 100
        assert shown[-1].recall <= 20 and [one.threshold for one in shown] == sorted(one.threshold for one in shown)


def test_thumbnails_are_small_jpegs_of_the_images_concerned(random_image):
    outcome = case()
    sizes = [(40, 60), (300, 700), (900, 5)]

    def image(row):
        if row == 3:
            raise DataError("broken")
        return random_image(*sizes[row % 3], seed=row) if row != 4 else b"no image"

    outcome.image = image
    found = analyse(outcome)
    named = {error[key] for error in found["errors"]["t2i"] for key in ("wrong", "right")}
    named |= {error["query"] for error in found["errors"]["i2t"]}
    named |= {row for one in found["asked"] for row in one["images"]}
    assert {int(row) for row in found["thumbnails"]} == named - {3, 4} and named & {3, 4}
    for row, data in found["thumbnails"].items():
        pixels = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), cv2.IMREAD_COLOR)
        height, width = sizes[int(row) % 3]
        assert max(pixels.shape[:2]) <= 160 and (height > width) == (pixels.shape[0] > pixels.shape[1])
        small = cv2.resize(
            random_image(height, width, seed=int(row)), pixels.shape[1::-1], interpolation=cv2.INTER_AREA
        )
        assert np.abs(small[:, :, ::-1].astype(int) - pixels).mean() < 12
    asked = {str(error["query"]) for error in (*found["errors"]["t2i"], *found["asked"])}
    assert asked <= set(found["texts"]) and all(text == f"text {row}" for row, text in found["texts"].items())
    check_analysis(json.loads(json.dumps(found)))


def test_the_curve_is_given_to_the_row_it_was_measured_for():
    outcome = case()
    five, one = (
        Result(f"mscoco@{name}", "retrieval", {}, {"images": count, "texts": TEXTS})
        for name, count in (("5k", IMAGES), ("1k", IMAGES - 1))
    )
    outcome.results = [one, five]
    assert analyse(outcome)["benchmark"] == "mscoco@5k"
    outcome.results = [one, one]
    assert analyse(outcome)["benchmark"] is None
    outcome.results = [one]
    assert analyse(outcome)["benchmark"] == "mscoco@1k"
    one.counts.update(five.counts, folds=5)
    assert analyse(outcome)["benchmark"] is None


@pytest.mark.parametrize(
    "keys, value",
    [
        (["counts", "images"], -1),
        (["positives"], [1]),
        (["negatives", 5], "1"),
        (["recall", "t2i"], []),
        (["recall", "i2t", 0], 101),
        (["errors", "t2i", 0, "wrong"], "<script>"),
        (["thumbnails"], {"1": '" onerror="x'}),
        (["texts"], {"1": 5}),
        (["benchmark"], 1),
        (["errors"], {}),
        (["wrong"], 5),
    ],
)
def test_a_wrong_analysis_is_refused(keys, value):
    found = analyse(case())
    check_analysis(found)
    *path, last = keys
    part = found
    for key in path:
        part = part[key]
    part[last] = value
    with pytest.raises((KeyError, TypeError, ValueError)):
        check_analysis(found)


def test_memory_is_bounded_by_the_block():
    """4,000 x 3,000 scores are 96 MB; the pass holds a few blocks of 0.5 MB and the rows."""
    rng = np.random.default_rng(0)
    image, text = rng.normal(size=(3000, 4)).astype(np.float32), rng.normal(size=(4000, 4)).astype(np.float32)
    outcome = Outcome([], "0", Embeddings(image, text, np.arange(4000) % 3000), None, ("",) * 4000)
    tracemalloc.start()
    found = analyse(outcome, block=1 << 16)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert sum(found["negatives"]) == 12_000_000 - 4000 and peak < 8 << 20

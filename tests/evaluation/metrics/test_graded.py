"""PNR, NDCG and MAP against loops that follow their definitions, against scikit-learn, and in corner cases."""

import itertools
import math

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.metrics.graded import average_precisions, graded_metrics, ndcg, ordered_pairs

SEEDS = pytest.mark.parametrize("seed", range(5))


def problem(seed, levels=None):
    """Scores (of few `levels`, or all different), labels 0 to 2 and queries in no order, of 20 queries."""
    rng = np.random.default_rng(seed)
    queries = rng.permutation(np.repeat(np.arange(20) * 7 - 3, rng.integers(1, 14, 20)))
    scores = rng.permutation(len(queries)) / 9 if levels is None else rng.integers(0, levels, len(queries)) / 4
    return scores, rng.integers(0, 3, len(queries)), queries


def documents(scores, labels, queries):
    """[(score, label), ...] of every query."""
    return [
        [(score, label) for score, label, query in zip(scores, labels, queries, strict=True) if query == wanted]
        for wanted in sorted(set(queries))
    ]


def dcg(labels):
    return sum((2**label - 1) / math.log(rank + 1, 2) for rank, label in enumerate(labels, 1))


@SEEDS
@pytest.mark.parametrize("levels", [None, 3])
def test_pairs_in_order(seed, levels):
    data = problem(seed, levels)
    good = bad = 0
    for found in documents(*data):
        for (score, label), (other, lower) in itertools.permutations(found, 2):
            if label > lower:
                good, bad = good + (score > other), bad + (score < other)
    assert ordered_pairs(*data) == (good, bad)
    assert graded_metrics(*data, 2)[0]["pnr"] == good / bad


@SEEDS
@pytest.mark.parametrize("k", [1, 5, 10, 50])
def test_ndcg(seed, k):
    data = problem(seed)
    wanted = []
    for found in documents(*data):
        if len({label for _, label in found}) > 1:
            shown = [label for _, label in sorted(found, reverse=True)]
            wanted.append(dcg(shown[:k]) / dcg(sorted(shown, reverse=True)[:k]))
    assert ndcg(*data, k) == pytest.approx(wanted, rel=1e-12)


@SEEDS
def test_average_precision(seed):
    data = problem(seed)
    wanted = []
    for found in documents(*data):
        right = [label == 2 for _, label in sorted(found, reverse=True)]
        if any(right):
            shares = [sum(right[:rank]) / rank for rank in range(1, len(right) + 1) if right[rank - 1]]
            wanted.append(sum(shares) / len(shares))
    assert average_precisions(*data, 2) == pytest.approx(wanted, rel=1e-12)


@SEEDS
def test_equal_scores_are_taken_in_the_worst_order(seed):
    scores, labels, queries = (column[:7] for column in problem(seed, 2))
    queries, labels = np.zeros(7, int), np.array([2, *labels[:-2], 0])
    orders = [np.lexsort((order, -scores)) for order in itertools.permutations(range(7))]
    assert ndcg(scores, labels, queries, 5)[0] == pytest.approx(
        min(dcg(labels[order][:5]) for order in orders) / dcg(sorted(labels, reverse=True)[:5])
    )
    precisions = []
    for order in orders:
        ranks = np.flatnonzero(labels[order] == 2) + 1
        precisions.append(np.mean([(ranks <= rank).sum() / rank for rank in ranks]))
    assert average_precisions(scores, labels, queries, 2)[0] == pytest.approx(min(precisions))


@SEEDS
@pytest.mark.interop
def test_against_scikit_learn(seed):
    import sklearn.metrics as sklearn

    data = problem(seed)
    found = [np.array(rows) for rows in documents(*data)]
    mixed = [rows for rows in found if len(set(rows[:, 1])) > 1]
    assert ndcg(*data, 10) == pytest.approx(
        [sklearn.ndcg_score([2 ** rows[:, 1] - 1], [rows[:, 0]], k=10) for rows in mixed]
    )
    assert average_precisions(*data, 2) == pytest.approx(
        [sklearn.average_precision_score(rows[:, 1] == 2, rows[:, 0]) for rows in found if (rows[:, 1] == 2).any()]
    )


def test_the_order_of_rows_and_the_scale_of_scores_do_not_matter():
    scores, labels, queries = problem(1, 5)
    order = np.random.default_rng(0).permutation(len(scores))
    first = graded_metrics(scores, labels, queries, 2)
    second = graded_metrics(3 * scores[order] - 1, labels[order], queries[order], 2)
    assert first[0] == pytest.approx(second[0]) and first[1:] == second[1:]


def test_perfect_and_collapsed_scores():
    _, labels, queries = problem(0)
    metrics, counts, notes = graded_metrics(labels, labels, queries, 2)
    assert metrics == pytest.approx({"ndcg_1": 100, "ndcg_5": 100, "ndcg_10": 100, "map": 100})
    assert counts["discordant pairs"] == 0 and "PNR is undefined" in notes[0]
    collapsed, counts, _ = graded_metrics(np.zeros(len(labels)), labels, queries, 2)
    backward = graded_metrics(-labels, labels, queries, 2)[0]
    assert counts["concordant pairs"] == counts["discordant pairs"] == 0
    assert {key: collapsed[key] for key in ("ndcg_10", "map")} == pytest.approx(
        {key: backward[key] for key in ("ndcg_10", "map")}
    )


def test_queries_that_cannot_count_are_left_out_and_told():
    metrics, counts, notes = graded_metrics([3.0, 2.0, 1.0], [1, 1, 0], [0, 0, 1], 2)
    assert metrics == {"ndcg_1": 0, "ndcg_5": 0, "ndcg_10": 0, "map": 0} and len(notes) == 3
    assert (counts["queries in NDCG"], counts["queries in MAP"]) == (0, 0)


@pytest.mark.parametrize(
    "data, words",
    [
        (([1.0], [1, 2], [1, 1]), "rows of one length"),
        (([], [], []), "rows of one length"),
        (([1.0, np.nan], [1, 2], [1, 1]), "score 1 is not finite"),
        (([1.0], [-1], [1]), "whole numbers from 0"),
        (([1.0], [0.5], [1]), "whole numbers from 0"),
    ],
)
def test_bad_input(data, words):
    with pytest.raises(DataError, match=words):
        graded_metrics(*data, 2)

"""Correlations and mAP@K, against brute force and against SciPy and scikit-learn where they are installed."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.metrics.similarity import (
    average_ranks,
    mean_average_precision,
    pack_labels,
    pearson,
    share_label,
    spearman,
)

# few distinct values, so that ties are the rule
TIED = st.lists(st.tuples(st.integers(-3, 3), st.integers(-3, 3)), min_size=2, max_size=30)


def slow_ranks(values):
    """The mean of the places that a value may take, counted one by one."""
    return [
        sum(other < value for other in values) + (sum(other == value for other in values) + 1) / 2 for value in values
    ]


def slow_correlation(first, second):
    """Mean product of standard scores; 0 without spread."""
    first, second = np.array(first, float), np.array(second, float)
    if first.std() < 1e-12 or second.std() < 1e-12:
        return 0.0
    return 100 * np.mean((first - first.mean()) / first.std() * ((second - second.mean()) / second.std()))


@given(TIED)
def test_correlations_equal_the_slow_form(pairs):
    first, second = zip(*pairs, strict=True)
    assert average_ranks(first).tolist() == slow_ranks(first)
    assert pearson(first, second) == pytest.approx(slow_correlation(first, second), abs=1e-9)
    assert spearman(first, second) == pytest.approx(slow_correlation(slow_ranks(first), slow_ranks(second)), abs=1e-9)


@pytest.mark.interop
def test_correlations_equal_scipy():
    from scipy import stats

    rng = np.random.default_rng(0)
    for size in (2, 3, 50, 1000):
        first, second = rng.standard_normal(size), rng.integers(0, 5, size) + 0.0
        second[0] = 9
        assert spearman(first, second) == pytest.approx(100 * stats.spearmanr(first, second)[0], abs=1e-9)
        assert pearson(first, second) == pytest.approx(100 * stats.pearsonr(first, second)[0], abs=1e-9)


def test_spearman_sees_only_the_order():
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal(40), rng.integers(0, 4, 40)
    assert spearman(np.exp(3 * first), second) == pytest.approx(spearman(first, second))
    assert spearman(first, first**3) == pytest.approx(100) and spearman(first, -first) == pytest.approx(-100)


def test_nothing_to_correlate():
    assert spearman([1, 1, 1], [1, 2, 3]) == 0.0 == pearson([2, 2, 2], [1, 2, 3])
    for first, second, words in (([1], [1], "at least 2"), ([1, 2], [1, 2, 3], "shapes"), ([1, np.nan], [1, 2], "nan")):
        with pytest.raises(DataError, match=words):
            spearman(first, second)


@pytest.mark.parametrize("labels", [1, 63, 64, 65, 130])
def test_masks_share_a_bit_where_rows_share_a_label(labels):
    rng = np.random.default_rng(labels)
    first, second = rng.random((20, labels)) < 0.1, rng.random((30, labels)) < 0.1
    assert pack_labels(first).shape == (20, -(-labels // 64))
    assert np.array_equal(
        share_label(pack_labels(first), pack_labels(second)), (first.astype(int) @ second.T.astype(int)) > 0
    )


def test_label_l_is_bit_l_of_its_word():
    assert pack_labels(np.eye(70, dtype=bool)).tolist() == [
        [1 << label, 0] if label < 64 else [0, 1 << label - 64] for label in range(70)
    ]


def slow_map(queries, database, query_marks, database_marks, k, own):
    """mAP@K row by row: candidates sorted in Python, the irrelevant first among equals."""
    values = []
    for row, query in enumerate(queries):
        ranked = sorted(
            (
                (-round(float(query @ other), 6), bool((query_marks[row] & marks).any()))
                for place, (other, marks) in enumerate(zip(database, database_marks, strict=True))
                if place != own[row]
            )
        )[:k]
        hits, gained = 0, []
        for rank, (_, relevant) in enumerate(ranked, 1):
            hits += relevant
            if relevant:
                gained.append(hits / rank)
        values.append(sum(gained) / len(gained) if gained else 0.0)
    return 100 * sum(values) / len(values)


def problem(num_queries=23, num_database=60, labels=70, seed=0):
    """Vectors of few directions, so that many cosines are equal, and sparse labels."""
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.standard_normal((16, 16)))[0].astype(np.float32)
    database = directions[rng.integers(0, 16, num_database)]
    queries = rng.standard_normal((num_queries, 16)).astype(np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    own = np.full(num_queries, -1)
    own[::3] = rng.permutation(num_database)[: len(own[::3])]
    queries[own >= 0] = database[own[own >= 0]]
    return queries, database, rng.random((num_queries, labels)) < 0.03, rng.random((num_database, labels)) < 0.03, own


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("block_bytes", [1, 10_000, 1 << 20])
def test_map_equals_the_slow_form_for_every_block(seed, block_bytes):
    queries, database, asked, held, own = problem(seed=seed)
    ks = (1, 7, 59, 60)
    got = mean_average_precision(queries, database, pack_labels(asked), pack_labels(held), ks, own, block_bytes)
    for k in ks:
        assert got[k] == pytest.approx(slow_map(queries, database, asked, held, k, own), abs=1e-9)


@pytest.mark.interop
def test_map_over_everything_equals_scikit_learn():
    from sklearn import metrics

    rng = np.random.default_rng(5)
    queries, database = (
        rows / np.linalg.norm(rows, axis=1, keepdims=True)
        for rows in (rng.standard_normal((20, 8)), rng.standard_normal((50, 8)))
    )
    asked, held = rng.random((20, 5)) < 0.4, rng.random((50, 5)) < 0.4
    asked[:, 0] |= ~asked.any(axis=1)
    got = mean_average_precision(queries, database, pack_labels(asked), pack_labels(held), (50,))[50]
    wanted = [
        metrics.average_precision_score((marks & held).any(axis=1), database @ query)
        for query, marks in zip(queries, asked, strict=True)
    ]
    assert got == pytest.approx(100 * np.mean(wanted), abs=1e-6)


def test_a_collapsed_model_gains_nothing():
    rows = np.full((40, 4), 0.5, np.float32) + np.random.default_rng(0).uniform(0, 1e-8, (40, 4)).astype(np.float32)
    marks = np.zeros((40, 2), bool)
    marks[:20, 0], marks[20:, 1] = True, True
    got = mean_average_precision(rows, rows, pack_labels(marks), pack_labels(marks), (10, 20), np.arange(40))
    assert got == {10: 0.0, 20: 0.0}


def test_a_query_is_not_its_own_answer():
    rows, marks = np.eye(6, dtype=np.float32), np.eye(6, dtype=bool)
    masks = pack_labels(marks)
    assert mean_average_precision(rows, rows, masks, masks, (1,))[1] == 100.0
    assert mean_average_precision(rows, rows, masks, masks, (1, 6), np.arange(6)) == {1: 0.0, 6: 0.0}


@pytest.mark.parametrize(
    "queries, database, words",
    [
        (np.ones((2, 3)), np.eye(3), "not of length 1"),
        (np.eye(3), np.full((2, 3), np.nan), "the model gives numbers that are not finite"),
        (np.eye(3), np.eye(4), "3 wide but the database 4"),
        (np.zeros((0, 3)), np.eye(3), "at least one"),
    ],
)
def test_embeddings_that_cannot_be_compared(queries, database, words):
    masks = [np.ones((len(rows), 1), np.uint64) for rows in (queries, database)]
    with pytest.raises(DataError, match=words):
        mean_average_precision(queries, database, *masks, (1,))

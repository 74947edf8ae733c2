"""What a search gives, whatever finds the candidates: exact scores, living rows, as many as there are."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ernie_vil2.search.neighbours import neighbours as module
from ernie_vil2.search.neighbours.build import build_neighbours
from ernie_vil2.search.neighbours.kinds import KINDS
from ernie_vil2.search.neighbours.neighbours import Neighbours
from ernie_vil2.search.neighbours.opening import read_index
from ernie_vil2.search.neighbours.ranking import best, recall
from tests.search.neighbours.sides import Side, grouped, right

ROWS, WIDTH = 2000, 32
QUERIES = grouped(20, WIDTH, seed=1)


def opened(side, record, place):
    index = read_index(place, record) if record["files"] else None
    return Neighbours(side, index, record["options"], record["bound"])


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """Function kind -> (side, record, folder of its file), built once."""
    side, kept = Side(grouped(ROWS, WIDTH)), {}

    def build(kind):
        if kind not in kept:
            place = tmp_path_factory.mktemp(kind)
            kept[kind] = side, build_neighbours(side, place, kind), place
        return kept[kind]

    return build


@pytest.fixture(params=KINDS)
def kind(request):
    return request.param


def test_scores_are_those_of_the_stored_vectors(built, kind):
    side, record, place = built(kind)
    scores, ids = opened(side, record, place).search(QUERIES, 10)
    assert scores.dtype == np.float32 and ids.dtype == np.int64 and ids.shape == (20, 10)
    exact = np.stack([query @ side.vectors(row).T for query, row in zip(QUERIES, ids, strict=True)])
    np.testing.assert_allclose(scores, exact, atol=1e-6)
    assert (np.diff(scores) <= 0).all()
    assert recall(ids, right(side, QUERIES, 10)[1]) >= 0.97


def test_the_recorded_recall_is_that_of_the_opened_index(built, kind):
    side, record, place = built(kind)
    told = record["recall"]
    assert told["at"] == 10 and told["against"] == ROWS
    _, ids = opened(side, record, place).search(grouped(300, WIDTH, seed=2), 10)
    assert abs(recall(ids, right(side, grouped(300, WIDTH, seed=2), 10)[1]) - told["near"]) < 0.03


def test_rows_that_are_gone_are_never_found(built, kind):
    side, record, place = built(kind)
    removed = right(side, QUERIES, 5)[1].ravel()
    fewer = Side(side.all, removed=removed)
    _, ids = opened(fewer, record, place).search(QUERIES, 10)
    assert not np.isin(ids, removed).any() and (ids >= 0).all()
    assert recall(ids, right(fewer, QUERIES, 10)[1]) >= 0.95


def test_newer_rows_are_found_without_building_anew(built, kind):
    side, record, place = built(kind)
    longer = Side(np.concatenate([side.all, QUERIES.astype(np.float16)]))
    scores, ids = opened(longer, record, place).search(QUERIES, 3)
    assert ids[:, 0].tolist() == list(range(ROWS, ROWS + 20))
    np.testing.assert_allclose(scores[:, 0], 1, atol=2e-3)


@pytest.mark.parametrize("count", [1, 7, 300, 1500])
def test_a_filter_leaves_as_many_as_are_wanted(built, kind, count, monkeypatch):
    monkeypatch.setattr(module, "FEW", 100)
    side, record, place = built(kind)
    allowed = np.sort(np.random.default_rng(count).choice(ROWS, count, replace=False))
    _, ids = opened(side, record, place).search(QUERIES, 10, np.append(allowed, ROWS + 5))
    assert np.isin(ids, np.append(allowed, -1)).all()
    assert ((ids >= 0).sum(axis=1) == min(10, count)).all()
    assert recall(ids, right(side, QUERIES, 10, allowed)[1]) >= (1 if count <= 100 else 0.9)


def test_a_filter_of_far_away_rows_still_leaves_k(built, kind, monkeypatch):
    monkeypatch.setattr(module, "FEW", 10)
    side, record, place = built(kind)
    query = QUERIES[:1]
    farthest = np.sort(np.argsort(query @ side.all.astype(np.float32).T)[0][:60])
    _, ids = opened(side, record, place).search(query, 40, farthest)
    assert set(ids[0]) <= set(farthest) and len(set(ids[0])) == 40


def test_more_than_there_are_ends_in_nobody(built, kind):
    side, record, place = built(kind)
    scores, ids = opened(side, record, place).search(QUERIES[:2], ROWS + 3)
    assert (np.sort(ids[:, :ROWS]) == np.arange(ROWS)).all() and (ids[:, ROWS:] == -1).all()
    assert np.isneginf(scores[:, ROWS:]).all()


def test_nothing_is_found_for_no_query_or_in_no_rows(built, kind):
    side, record, place = built(kind)
    search = opened(side, record, place)
    assert search.search(QUERIES[:0], 4)[1].shape == (0, 4)
    assert (search.search(QUERIES, 4, np.empty(0, np.int64))[1] == -1).all()
    empty = Side(side.all, removed=range(ROWS))
    assert (opened(empty, record, place).search(QUERIES, 4)[1] == -1).all()


def test_equal_scores_stand_by_id(tmp_path, kind):
    side = Side(np.repeat(grouped(30, WIDTH), 3, axis=0))
    _, ids = opened(side, build_neighbours(side, tmp_path, kind), tmp_path).search(side.vectors([0, 1])[:1], 6)
    assert ids[0, :3].tolist() == [0, 1, 2] and (np.diff(ids[0, 3:]) == 1).all()


def test_threads_share_a_search(built, kind):
    side, record, place = built(kind)
    search = opened(side, record, place)
    allowed = np.arange(0, ROWS, 2)
    wanted = [search.search(QUERIES[:1], 10)[1].tolist(), search.search(QUERIES[:1], 10, allowed)[1].tolist()]
    with ThreadPoolExecutor(4) as pool:
        jobs = [pool.submit(search.search, QUERIES[:1], 10, (None, allowed)[turn % 2]) for turn in range(40)]
    assert [job.result()[1].tolist() for job in jobs] == wanted * 20


def test_rows_that_were_no_candidates_are_compared(built, kind, monkeypatch):
    side, record, place = built(kind)
    search = opened(side, record, place)
    monkeypatch.setattr(module, "candidates", lambda index, queries, count, *how: np.full((len(queries), count), -1))
    allowed = np.arange(0, ROWS, 2)[:-1]
    monkeypatch.setattr(module, "FEW", 10)
    for some in (None, allowed):
        np.testing.assert_array_equal(search.search(QUERIES, 6, some)[1], right(side, QUERIES, 6, some)[1])


def test_the_best_are_ordered_by_score_and_then_by_id():
    scores, ids = best(np.float32([0.5, 0.7, 0.5, 0.7, 0.1]), np.array([4, 9, 3, 2, 1]), 4)
    assert ids.tolist() == [2, 9, 3, 4] and scores.tolist() == pytest.approx([0.7, 0.7, 0.5, 0.5])

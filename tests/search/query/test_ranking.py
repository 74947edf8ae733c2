"""Rankings: pages are slices of one order, whatever was asked before, and a second look costs no search."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.search.query.ranking import Rankings
from ernie_vil2.search.query.recent import Recent

SCORES = np.sort(np.random.default_rng(0).random(2500).astype(np.float32))[::-1]


class Finder:
    """An exact search, which counts how often it is asked."""

    def __init__(self, rows):
        self.rows, self.asked = rows, []

    def __call__(self, depth):
        self.asked.append(depth)
        return SCORES[: self.rows][:depth], np.arange(self.rows)[:depth]


@given(st.integers(0, 2500), st.lists(st.tuples(st.integers(1, 60), st.integers(1, 40)), min_size=1, max_size=5))
def test_any_page_is_a_slice_of_the_same_order(rows, pages):
    rankings, find = Rankings(), Finder(rows)
    for k, page in pages:
        ranking = rankings.get("query", k * page, find)
        assert ranking.ids[(page - 1) * k : page * k].tolist() == list(range(rows))[(page - 1) * k : page * k]


def test_pages_of_a_step_cost_one_search():
    rankings, find = Rankings(), Finder(2500)
    for page in (50, 1, 2, 49, 50):
        rankings.get("query", 20 * page, find)
    assert find.asked == [1000]
    rankings.get("another", 20, find)
    assert find.asked == [1000, 100]


def test_nothing_is_asked_of_rows_that_are_all_known():
    rankings, find = Rankings(), Finder(30)
    for page in (1, 2, 9):
        rankings.get("query", 20 * page, find)
    assert find.asked == [100]


def test_pages_do_not_overlap_where_a_deeper_search_finds_other_rows():
    answers = {
        100: (SCORES[1:101], np.arange(1, 101)),  # an inexact search that misses the best row
        1000: (SCORES[:1000], np.arange(1000)),
    }
    rankings = Rankings()
    first = rankings.get("query", 100, answers.__getitem__).ids[:100].tolist()
    rest = rankings.get("query", 1000, answers.__getitem__).ids[100:].tolist()
    assert first == list(range(1, 101)) and sorted(first + rest) == list(range(1000))


def test_a_threshold_keeps_what_is_above_and_counts_it():
    rankings, find = Rankings(), Finder(2500)
    least = float(SCORES[70])
    ranking, total = rankings.get("query", 20, find, least).above(least)
    assert ranking.ids.tolist() == list(range(71)) and total == 71
    assert rankings.get("query", 2000, find, least).above(least)[1] == 71 and find.asked == [100]
    ranking, total = rankings.get("query", 20, find, -1.0).above(-1.0)
    assert len(ranking.ids) == 100 and total is None


def test_only_the_last_values_are_kept():
    recent, made = Recent(2), []

    def make(key):
        return recent.get(key, lambda: made.append(key) or key)

    for key in "abacab":
        assert make(key) == key
    assert made == list("abcb")

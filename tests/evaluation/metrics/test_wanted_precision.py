"""The threshold of a wanted precision: against the picks of evaluations, and against pairs that it never saw."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.evaluation.metrics.thresholds import count_scores, decisions, picks
from ernie_vil2.evaluation.metrics.wanted_precision import LEAST_PAIRS, choose, wilson


def drawn_pairs(right, wrong, seed=0, apart=0.2):
    """Scores and labels of pairs whose scores are normal, the right ones higher."""
    rng = np.random.default_rng(seed)
    scores = np.concatenate([rng.normal(0.5 + apart, 0.1, right), rng.normal(0.5, 0.1, wrong)])
    return np.clip(scores, -1, 1), np.arange(right + wrong) < right


@given(st.integers(0, 1000), st.floats(0.0, 0.5), st.sampled_from([90, 95, 99]))
def test_it_is_the_threshold_that_evaluations_pick(seed, apart, wanted):
    scores, same = drawn_pairs(60, 80, seed, apart)
    pick = picks(decisions(count_scores(scores[same]), count_scores(scores[~same])))["all pairs"]
    expected = pick[f"precision ≥ {wanted} %"]
    if expected is None:
        with pytest.raises(DataError, match="no threshold has a precision"):
            choose(scores, same, wanted)
    else:
        assert choose(scores, same, wanted).decision == expected


@given(st.integers(0, 1000))
def test_order_of_pairs_is_no_matter_for_the_threshold(seed):
    scores, same = drawn_pairs(40, 40, seed)
    order = np.random.default_rng(seed).permutation(len(scores))
    try:
        one = choose(scores, same, 90)
    except DataError:
        assume(False)
    other = choose(scores[order], same[order], 90)
    assert (one.decision, one.precision, one.recall) == (other.decision, other.precision, other.recall)


def test_held_out_precision_foretells_that_on_new_pairs_and_few_pairs_are_no_truth():
    """On few pairs the threshold flatters itself: what is told of unseen pairs is nearer to what a million show."""
    many, labels = drawn_pairs(200_000, 200_000, seed=9999)
    flattered, told, real = [], [], []
    for seed in range(40):
        choice = choose(*drawn_pairs(40, 40, seed), 90)
        taken = labels[many >= choice.decision.threshold]
        flattered.append(choice.decision.precision)
        told.append(choice.held_out.precision)
        real.append(100 * taken.mean())
    assert np.mean(flattered) - np.mean(real) > 1.5
    assert abs(np.mean(told) - np.mean(real)) < 1.5


def test_the_intervals_hold_what_is_true_as_often_as_they_say():
    rng = np.random.default_rng(0)
    for share, count in ((0.95, 40), (0.5, 30), (0.99, 200)):
        hits = rng.binomial(count, share, 4000)
        inside = [low <= 100 * share <= high for low, high in (wilson(int(hit), count) for hit in hits)]
        assert 0.92 < np.mean(inside) < 0.985
    assert wilson(10, 10)[0] < 75 < 99 < wilson(1000, 1000)[0]


def test_more_pairs_make_it_surer():
    few, many = (choose(*drawn_pairs(count, count), 90) for count in (50, 5000))
    for name in ("precision", "recall"):
        assert np.ptp(getattr(few, name)) > 5 * np.ptp(getattr(many, name))
    assert few.held_out.highest - few.held_out.lowest > 2 * (many.held_out.highest - many.held_out.lowest)


@pytest.mark.parametrize(("right", "wrong"), [(LEAST_PAIRS - 1, 500), (500, LEAST_PAIRS - 1), (5, 5), (0, 0)])
def test_too_few_pairs_are_refused(right, wrong):
    with pytest.raises(DataError, match=f"at least {LEAST_PAIRS} of either.*label more pairs"):
        choose(*drawn_pairs(right, wrong), 95)


@pytest.mark.parametrize("wanted", [0, -1, 100.5, float("nan")])
def test_a_precision_that_is_none_is_refused(wanted):
    with pytest.raises(ConfigError, match="write a percentage"):
        choose(*drawn_pairs(40, 40), wanted)


def test_the_grid_is_met_from_above():
    """A score that is a threshold is taken by it, though it has no exact binary form."""
    scores = np.repeat([0.7, 0.699], 40)
    assert choose(scores, scores > 0.6995, 100).decision.threshold == 0.7

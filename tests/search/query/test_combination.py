"""Queries: the vector that is looked for is the weighted sum of unit vectors, at length 1."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.search.query.combination import MOST_ITEMS, Query, query_of, unit_vector

VECTORS = {name: unit_vector(np.random.default_rng(ord(name)).standard_normal(8), 8) for name in "猫狗海船"}


def encode(kind, item):
    return unit_vector(item, 8) if kind == "vector" else VECTORS[item[0]]


def expected(*pairs):
    total = sum(weight * VECTORS[name].astype(np.float64) for name, weight in pairs)
    return total / np.linalg.norm(total)


FORMS = [
    ({"text": "猫"}, [("猫", 1)]),
    ({"text": ("猫", 3)}, [("猫", 1)]),
    ({"text": ["猫", "狗"]}, [("猫", 1), ("狗", 1)]),
    ({"text": [("猫", 0.5), "狗"]}, [("猫", 1), ("狗", 2)]),
    ({"text": "猫", "image": "狗.jpg"}, [("猫", 1), ("狗", 1)]),
    ({"image": ("狗.jpg", 2), "text": "猫"}, [("猫", 1), ("狗", 2)]),
    ({"text": "猫", "minus": "狗"}, [("猫", 1), ("狗", -1)]),
    ({"text": "猫", "minus": {"text": ("狗", 0.5), "image": "海.png"}}, [("猫", 2), ("狗", -1), ("海", -2)]),
    ({"text": "猫", "minus": query_of("狗", minus="海")}, [("猫", 1), ("狗", -1), ("海", 1)]),
    ({"text": "猫", "vector": VECTORS["船"] * 7}, [("猫", 1), ("船", 1)]),
    ({"text": "猫", "vector": list(VECTORS["船"])}, [("猫", 1), ("船", 1)]),
    ({"vector": [(VECTORS["船"], 2.0), VECTORS["海"]]}, [("船", 2), ("海", 1)]),
    ({"vector": np.stack([VECTORS["船"], VECTORS["海"]])}, [("船", 1), ("海", 1)]),
]


@pytest.mark.parametrize("arguments, pairs", FORMS)
def test_a_query_is_the_weighted_sum(arguments, pairs):
    np.testing.assert_allclose(query_of(**arguments).vector(encode), expected(*pairs), atol=1e-6)


@given(st.lists(st.tuples(st.sampled_from("猫狗海船"), st.floats(0.01, 100)), min_size=1, max_size=8))
def test_order_and_scale_change_nothing(items):
    vector = query_of(items).vector(encode)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    again = query_of([(text, 3 * weight) for text, weight in reversed(items)]).vector(encode)
    np.testing.assert_allclose(again, vector, atol=1e-6)


WRONG = [
    ({}, ConfigError, "nothing is asked for"),
    ({"text": []}, ConfigError, "nothing is asked for"),
    ({"minus": "猫"}, ConfigError, "nothing is asked for"),
    ({"text": ("猫", 0)}, ConfigError, "a weight is 0, but it must be above 0"),
    ({"text": ("猫", -1)}, ConfigError, "put what is not wanted into minus"),
    ({"text": ("猫", float("nan"))}, ConfigError, "a weight is nan"),
    ({"text": ["猫"] * (MOST_ITEMS + 1)}, ConfigError, "65 parts"),
    ({"text": "猫" * 10_000}, DataError, "the text has 10,000 characters; ask with at most 2,000"),
    ({"text": "猫", "minus": "狗" * 10_000}, DataError, "10,000 characters"),
    ({"text": "猫", "minus": {"texts": "狗"}}, ConfigError, "minus is"),
    ({"text": "猫", "minus": 3}, ConfigError, "minus is 3"),
    ({"text": "猫", "minus": "猫"}, DataError, "cancel each other"),
    ({"vector": np.ones(7)}, DataError, "has the shape"),
    ({"vector": np.zeros(8)}, DataError, "no direction"),
    ({"vector": np.full(8, np.nan)}, DataError, "no direction"),
    ({"vector": np.full(8, np.inf)}, DataError, "no direction"),
    ({"vector": "猫"}, DataError, "the vector of the query"),
]


@pytest.mark.parametrize("arguments, kind, told", WRONG)
def test_what_cannot_be_asked_is_told(arguments, kind, told):
    with pytest.raises(kind) as caught:
        query_of(**arguments).vector(encode)
    assert told in str(caught.value)


def test_a_vector_of_any_finite_size_has_a_direction():
    for size in (1e-300, 1e300):
        np.testing.assert_allclose(unit_vector(np.full(4, size), 4), np.full(4, 0.5, np.float32))


def test_a_query_says_of_what_kinds_it_is():
    assert query_of("猫", minus={"image": "狗.jpg"}).kinds() == {"text", "image"}
    assert isinstance(query_of("猫"), Query)

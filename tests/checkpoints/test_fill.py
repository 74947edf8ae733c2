"""Copying a state into parameters: what does not fit is named before anything is set, and types are the parameters'."""

import weakref
from collections.abc import Mapping

import numpy as np
import paddle
import pytest

from ernie_vil2.checkpoints.fill import Misfit, fill_parameters
from ernie_vil2.checkpoints.formats.lazy_tensors import Spec

SHAPES = {"first": (2, 3), "second": (4,), "third": (1, 2, 2)}


class LazyState(Mapping):
    """A state whose tensors are made when they are read; `reads` are (key, how many earlier ones are in memory)."""

    def __init__(self, arrays):
        self.arrays, self.made, self.reads = arrays, [], []

    def __iter__(self):
        return iter(self.arrays)

    def __len__(self):
        return len(self.arrays)

    def spec(self, key):
        return Spec("float32", self.arrays[key].shape)

    def __getitem__(self, key):
        self.reads.append((key, sum(found() is not None for found in self.made)))
        array = self.arrays[key].copy()
        self.made.append(weakref.ref(array))
        return array

    def __contains__(self, key):
        return key in self.arrays


def parameters(dtype="float32"):
    return {key: paddle.full(shape, 7.0, dtype) for key, shape in SHAPES.items()}


def random_arrays(shapes=SHAPES):
    rng = np.random.default_rng(0)
    return {key: rng.normal(size=shape).astype(np.float32) for key, shape in shapes.items()}


def values(found):
    return {key: value.astype("float32").numpy() for key, value in found.items()}


def assert_equal(found, wanted):
    assert {key: value.tobytes() for key, value in found.items()} == {key: wanted[key].tobytes() for key in found}


def test_every_parameter_is_set_and_one_tensor_is_in_memory_at_a_time():
    state, wanted = LazyState({**random_arrays(), "more": np.zeros(9, np.float32)}), parameters()
    assert fill_parameters(wanted, state) == []
    assert_equal(values(wanted), state.arrays)
    assert state.reads == [(key, 0) for key in SHAPES]


def test_one_tensor_that_does_not_fit_leaves_all_as_they_were_and_nothing_is_read():
    for change, wrong in (
        ({"third": None}, [Misfit("third", None, (1, 2, 2))]),
        ({"second": (5,)}, [Misfit("second", (5,), (4,))]),
        ({"first": (3, 2), "second": None}, [Misfit("first", (3, 2), (2, 3)), Misfit("second", None, (4,))]),
    ):
        shapes = {key: shape for key, shape in {**SHAPES, **change}.items() if shape}
        state, wanted = LazyState(random_arrays(shapes)), parameters()
        assert fill_parameters(wanted, state) == wrong
        assert {value.item() for parameter in wanted.values() for value in parameter.flatten()} == {7.0}
        assert state.reads == []


def test_a_misfit_says_what_is_there_and_what_is_here():
    assert str(Misfit("a.b", None, (4,))) == "a.b is missing"
    assert str(Misfit("a.b", (5, 2), (4,))) == "a.b is [5, 2] there and [4] here"


@pytest.mark.parametrize("own", ["float32", "bfloat16", "float16", "float64"])
@pytest.mark.parametrize("stored", ["float32", "bfloat16", "float16", "float64", "int64"])
def test_a_value_is_cast_to_the_type_of_its_parameter(own, stored):
    numbers = np.array([1.0, -2.0, 0.0, 96.0], np.float32)  # exact in every type
    array = (numbers.view(np.uint32) >> 16).astype(np.uint16) if stored == "bfloat16" else numbers.astype(stored)
    parameter = paddle.full([4], 7.0, own)
    assert fill_parameters({"second": parameter}, {"second": array}) == []
    assert parameter.dtype == getattr(paddle, own)
    np.testing.assert_array_equal(parameter.astype("float32").numpy(), numbers)


def test_names_lead_to_the_keys_of_the_state():
    arrays, wanted = random_arrays(), parameters()
    theirs = {f"model.{key}": array for key, array in arrays.items()}
    assert fill_parameters(wanted, theirs, names={key: f"model.{key}" for key in SHAPES}) == []
    assert_equal(values(wanted), arrays)
    lacking = fill_parameters(parameters(), theirs, names={"first": "model.first", "second": "model.other"})
    assert [(key, found) for key, found, _ in lacking] == [("second", None), ("third", None)]


def test_what_may_be_missing_is_left_as_it_was_but_must_fit_where_it_is_there():
    arrays, wanted = random_arrays(), parameters()
    del arrays["second"]
    assert fill_parameters(wanted, arrays, optional=("sec", "thi")) == []
    assert_equal(values({key: wanted[key] for key in arrays}), arrays)
    assert set(wanted["second"].tolist()) == {7.0}
    arrays["third"] = np.zeros(3, np.float32)
    assert fill_parameters(wanted, arrays, optional=("sec", "thi")) == [Misfit("third", (3,), (1, 2, 2))]


def test_another_shape_is_fitted_where_there_is_a_way_to():
    def doubled(key, found, wanted):
        return (lambda array: np.repeat(array, 2)) if key == "second" and 2 * found[0] == wanted[0] else None

    half = {**random_arrays(), "second": np.array([1.0, 2.0], np.float32)}
    wanted = parameters()
    assert fill_parameters(wanted, half, fit=doubled) == []
    assert wanted["second"].tolist() == [1.0, 1.0, 2.0, 2.0]
    assert_equal(values({"first": wanted["first"]}), half)
    other = {**half, "second": np.zeros(3, np.float32), "first": np.zeros(2, np.float32)}
    wrong = fill_parameters(parameters(), other, fit=doubled)
    assert [key for key, _, _ in wrong] == ["first", "second"]

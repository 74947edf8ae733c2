"""What is done slice by slice is what is done at once, and no sum depends on the number of threads."""

import threading

import numpy as np
import paddle
import pytest

from ernie_vil2 import threads
from ernie_vil2.device import Device
from ernie_vil2.training.optimization import slices
from ernie_vil2.training.optimization.gradients import total_square
from ernie_vil2.training.optimization.slices import each_slice, sliced

SIZE, SLICE = 1001, 128


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(slices, "SLICE", SLICE)


def values(seed):
    return paddle.to_tensor(np.random.default_rng(seed).standard_normal(SIZE, np.float32))


def with_threads(monkeypatch, count):
    monkeypatch.setattr(slices, "thread_count", lambda: count)


def test_slices_are_the_buffers_own_memory_and_all_of_it():
    first, second = values(0), values(1)
    parts = sliced(first, second)
    assert [part.shape for part, _ in parts] == [part.shape for _, part in parts] == [[128]] * 7 + [[105]]
    for part, other in parts:
        part.scale_(0.0)
        other.add_(part)
    assert not first.numpy().any() and (second.numpy() == values(1).numpy()).all()


@pytest.mark.parametrize("count", [1, 2, 5])
@pytest.mark.parametrize(
    "work",
    [
        lambda part, _: part.scale_(0.3),
        lambda part, other: part.lerp_(other, paddle.full([1], 0.1)),
    ],
    ids=["scale", "average"],
)
def test_elements_are_those_of_one_kernel_bit_for_bit(work, count, monkeypatch):
    with_threads(monkeypatch, count)
    whole, other, parts = values(0), values(1), values(0)
    work(whole, other)
    each_slice(work, sliced(parts, other))
    assert (whole.numpy() == parts.numpy()).all() and (whole.numpy() != values(0).numpy()).any()


def test_a_norm_does_not_depend_on_the_number_of_threads(monkeypatch):
    tensors, found = [values(seed) for seed in range(3)], []
    for count in (1, 2, 3, 8):
        with_threads(monkeypatch, count)
        found.append(total_square(tensors).item())
    wanted = sum((tensor.numpy().astype(np.float64) ** 2).sum() for tensor in tensors)
    assert len(set(found)) == 1 and found[0] == pytest.approx(wanted, rel=1e-6)


def test_slices_run_in_several_threads_of_one_core_and_without_gradients(monkeypatch):
    with_threads(monkeypatch, 2)
    set_to, met = [], threading.Barrier(2, timeout=30)
    monkeypatch.setattr(threads, "set_kernel_threads", set_to.append)
    parameter = paddle.create_parameter([2 * SLICE], "float32")

    def work(part):
        met.wait()  # only two at once come past it
        return threading.get_ident(), (part * 2).stop_gradient

    found = each_slice(work, sliced(parameter))
    assert len({ident for ident, _ in found}) == 2 and all(stopped for _, stopped in found)
    each = max(1, threads.thread_count() // 2)
    assert set_to == [each, each, threads.thread_count()]


def test_a_card_has_one_slice_in_the_thread_that_asks(monkeypatch):
    monkeypatch.setattr(slices, "device_of", lambda tensor: Device("gpu"))
    with_threads(monkeypatch, 8)
    assert [part.shape for (part,) in sliced(values(0))] == [[SIZE]]
    found = each_slice(lambda part: threading.get_ident(), [(values(0),), (values(1),)])
    assert found == [threading.get_ident()] * 2


def test_an_error_in_a_slice_is_raised_and_leaves_the_kernels_threads_as_they_were(monkeypatch):
    with_threads(monkeypatch, 2)
    set_to = []
    monkeypatch.setattr(threads, "set_kernel_threads", set_to.append)

    def work(part):
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        each_slice(work, sliced(values(0)))
    assert set_to[-1] == threads.thread_count()
    assert each_slice(lambda part: 1, []) == []

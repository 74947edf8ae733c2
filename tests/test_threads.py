"""Properties of the ordered, bounded, threaded map."""

import threading
import time

import pytest

from ernie_vil2.threads import SplitThreads, ordered_map, thread_count


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_order_is_kept_and_every_item_comes_once(workers):
    def slow_for_some(item):
        time.sleep(0.002 * (item % 3))
        return item * item

    assert list(ordered_map(slow_for_some, range(50), workers, ahead=4)) == [item * item for item in range(50)]
    assert list(ordered_map(slow_for_some, [], workers, ahead=4)) == []


@pytest.mark.parametrize("workers", [1, 3])
def test_items_are_taken_no_further_ahead_than_allowed(workers):
    taken = []

    def items():
        for item in range(100):
            taken.append(item)
            yield item

    for count, _ in enumerate(ordered_map(str, items(), workers, ahead=4), 1):
        assert len(taken) <= count + 4


@pytest.mark.parametrize("workers", [1, 3])
def test_an_error_reaches_the_caller_and_ends_the_threads(workers):
    before = threading.active_count()

    def fail_at_seven(item):
        if item == 7:
            raise ZeroDivisionError("seven")
        return item

    results = ordered_map(fail_at_seven, range(100), workers, ahead=3)
    with pytest.raises(ZeroDivisionError):
        list(results)

    def broken_items():
        yield 1
        raise ZeroDivisionError("items")

    with pytest.raises(ZeroDivisionError):
        list(ordered_map(str, broken_items(), workers, ahead=3))
    abandoned = ordered_map(str, range(100), workers, ahead=3)
    assert next(abandoned) == "0"
    abandoned.close()
    assert threading.active_count() == before


def test_every_thread_is_prepared_once():
    prepared = []
    list(
        ordered_map(
            lambda item: time.sleep(0.01), range(8), 2, ahead=4, prepare=lambda: prepared.append(threading.get_ident())
        )
    )
    assert len(prepared) == len(set(prepared)) == 2


@pytest.mark.parametrize("value, wanted", [("3", 3), ("4,2", 4), (" 2 ", 2)])
def test_threads_are_what_the_environment_says(monkeypatch, value, wanted):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_count() == wanted


@pytest.mark.parametrize("value", ["", "0", "many"])
def test_without_a_usable_number_the_cores_count(monkeypatch, value):
    monkeypatch.setenv("OMP_NUM_THREADS", value)
    assert thread_count() >= 1


@pytest.mark.parametrize("workers, each", [(1, 8), (2, 4), (3, 2), (8, 1)])
def test_workers_divide_the_threads(monkeypatch, workers, each):
    monkeypatch.setenv("OMP_NUM_THREADS", "8")
    assert SplitThreads(workers).each == each

"""A lane: whoever waits goes together, nobody waits for company, and what nobody wants any more is not encoded."""

import asyncio
import threading
from itertools import combinations

import numpy as np
import pytest

from ernie_vil2.serving.encoding import lanes
from ernie_vil2.serving.encoding.lanes import Lane
from ernie_vil2.serving.encoding.text_groups import first_group
from ernie_vil2.serving.refusals import Refusal


class Tower:
    """Encodes whole numbers as vectors of themselves, where it may go on; keeps the batches that it was given."""

    def __init__(self):
        self.batches, self.free = [], threading.Event()
        self.free.set()
        self.broken = set()

    def __call__(self, items):
        self.batches.append(list(items))
        assert self.free.wait(30)
        if self.broken & set(items):
            raise ValueError(f"one of {items} is broken")
        return np.array([[item] for item in items], np.float32)


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """No batch is small because a machine was slow at the one before."""
    monkeypatch.setattr(lanes, "LONGEST_BATCH", 1e9)


@pytest.fixture
def tower():
    return Tower()


def running(lane, work):
    """The result of a coroutine in which a lane is used."""
    try:
        return asyncio.run(work)
    finally:
        lane.stop()


async def beginning(tower, count):
    """Wait until a tower was given so many batches."""
    for _ in range(3000):
        if len(tower.batches) >= count:
            return
        await asyncio.sleep(0.005)
    raise AssertionError("the tower was not asked")


async def later(lane, *items, **options):
    """Tasks that ask for items, in this order, once all of them wait."""
    tasks = [asyncio.create_task(lane.vector(item, **options)) for item in items]
    await asyncio.sleep(0)
    return tasks


def test_one_alone_goes_at_once_and_those_who_came_meanwhile_go_together(tower):
    lane = Lane("test", tower, 4)

    async def work():
        tower.free.clear()
        first = await later(lane, 0)
        await beginning(tower, 1)
        rest = await later(lane, *range(1, 8))
        tower.free.set()
        return [float(vector[0]) for vector in await asyncio.gather(*first, *rest)]

    assert running(lane, work()) == list(range(8))
    assert tower.batches == [[0], [1, 2, 3, 4], [5, 6, 7]]
    assert len(lane) == 0


def test_a_broken_item_fails_alone(tower):
    tower.broken = {2}
    lane = Lane("test", tower, 8)

    async def work():
        return await asyncio.gather(*await later(lane, 1, 2, 3), return_exceptions=True)

    one, two, three = running(lane, work())
    assert isinstance(two, ValueError) and one[0] == 1 and three[0] == 3
    assert tower.batches == [[1, 2, 3], [1], [2], [3]]


def test_equal_keys_are_encoded_once_for_all_who_ask_meanwhile(tower):
    lane = Lane("test", tower, 1)

    async def work():
        tower.free.clear()
        tasks = await later(lane, 5, 5, key="five")
        await beginning(tower, 1)
        tasks += await later(lane, 5, key="five")
        tower.free.set()
        found = await asyncio.gather(*tasks)
        return found + await asyncio.gather(*await later(lane, 5, key="five"))

    assert [float(vector[0]) for vector in running(lane, work())] == [5] * 4
    assert tower.batches == [[5], [5]]


def test_clients_that_are_gone_are_dropped_before_their_turn(tower):
    lane = Lane("test", tower, 8)

    async def gone():
        return True

    async def there():
        return False

    async def work():
        tower.free.clear()
        first = await later(lane, 0)
        await beginning(tower, 1)
        lost = await later(lane, 1, gone=gone)
        kept = await later(lane, 2, gone=there)
        shared = await later(lane, 3, gone=gone, key="three") + await later(lane, 3, gone=there, key="three")
        (cancelled,) = await later(lane, 4)
        cancelled.cancel()
        tower.free.set()
        return await asyncio.gather(*first, *lost, *kept, *shared, cancelled, return_exceptions=True)

    _, lost, kept, lost_too, shared, cancelled = running(lane, work())
    for refused in (lost, lost_too):
        assert isinstance(refused, Refusal) and refused.code == "gone"
    assert isinstance(cancelled, asyncio.CancelledError) and kept[0] == 2 and shared[0] == 3
    assert tower.batches == [[0], [2, 3]]


def test_a_client_that_cannot_be_asked_is_gone_and_the_others_get_theirs(tower):
    lane = Lane("test", tower, 8)

    async def broken():
        raise OSError

    async def work():
        tower.free.clear()
        first = await later(lane, 0)
        await beginning(tower, 1)
        lost, kept = await later(lane, 1, gone=broken), await later(lane, 2)
        tower.free.set()
        return await asyncio.wait_for(asyncio.gather(*first, *lost, *kept, return_exceptions=True), 30)

    _, lost, kept = running(lane, work())
    assert isinstance(lost, Refusal) and kept[0] == 2


def test_one_who_gives_up_does_not_take_the_vector_from_another(tower):
    lane = Lane("test", tower, 8)

    async def work():
        tower.free.clear()
        one, two = await later(lane, 5, 5, key="five")
        await beginning(tower, 1)
        one.cancel()
        await asyncio.sleep(0)
        tower.free.set()
        return await two

    assert running(lane, work())[0] == 5


def test_slow_items_go_in_small_batches_and_the_wait_is_told(tower, monkeypatch):
    monkeypatch.setattr(lanes, "LONGEST_BATCH", 0.25)
    lane = Lane("test", tower, 8)
    lane.seconds = 0.1

    async def work():
        tower.free.clear()
        tasks = await later(lane, *range(6))
        await beginning(tower, 1)
        waits = lane.wait
        tower.free.set()
        await asyncio.gather(*tasks)
        return waits

    assert running(lane, work()) == 1
    assert [len(batch) for batch in tower.batches][:1] == [2]
    lane.seconds, lane._waiting = 2.0, [None] * 7
    assert lane.wait == 14


def test_texts_of_like_length_go_together():
    assert first_group([5, 5, 6, 5], 32) == [0, 1, 2, 3]
    assert first_group([5, 60, 6, 60, 7, 60], 32) == [0, 2, 4]
    assert first_group([60, 5, 60, 6, 60, 7], 32) == [0, 2, 4]
    assert first_group([60, 5, 60, 6, 60, 7], 1000) == [0, 1, 2, 3, 4, 5]
    assert first_group([48], 32) == [0]


@pytest.mark.parametrize("overhead", [0, 15.5, 200])
def test_groups_cost_the_least_that_can_be(overhead):
    """Against every way of cutting the sorted lengths."""
    rng = np.random.default_rng(0)
    for _ in range(50):
        left = [int(length) for length in rng.integers(3, 64, rng.integers(1, 8))]
        cost, lengths = 0, sorted(left)
        while left:
            group = first_group(left, overhead)
            assert 0 in group
            cost += overhead + len(group) * max(left[place] for place in group)
            left = [length for place, length in enumerate(left) if place not in group]
        inside = range(1, len(lengths))
        ways = ((0, *cuts, len(lengths)) for count in range(len(lengths)) for cuts in combinations(inside, count))
        costs = (sum(overhead + (b - a) * lengths[b - 1] for a, b in zip(way, way[1:], strict=False)) for way in ways)
        assert cost == pytest.approx(min(costs))

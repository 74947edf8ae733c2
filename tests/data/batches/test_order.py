"""The order: each epoch complete and its own, divided without gap or overlap, entered and re-entered anywhere."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.batches.order import Order
from ernie_vil2.errors import ConfigError
from ernie_vil2.keys import generator

SIZES = st.lists(st.integers(0, 30), min_size=1, max_size=6).filter(sum)


def epoch_of(order, epoch):
    """All positions of an epoch in order, from an Order that starts at (0, 0)."""
    first = epoch * order.batches_per_epoch
    found = [order.batch(step) for step in range(first, first + order.batches_per_epoch)]
    assert {number for number, _ in found} == {epoch}
    return np.concatenate([positions for _, positions in found])


@given(SIZES, st.integers(1, 20), st.integers(1, 60), st.integers(0, 9))
def test_an_epoch_shows_every_sample_at_most_once(sizes, batch_size, window, seed):
    size = sum(sizes)
    if batch_size > size:
        with pytest.raises(ConfigError, match="lower the batch size"):
            Order(sizes, batch_size, seed, window)
        return
    order = Order(sizes, batch_size, seed, window)
    for epoch in (0, 1, 5):
        seen = epoch_of(order, epoch)
        assert len(set(seen.tolist())) == len(seen) == size // batch_size * batch_size
        assert seen.min() >= 0 and seen.max() < size and seen.dtype == np.int64
    whole = Order(sizes, 1, seed, window)
    assert sorted(epoch_of(whole, 2).tolist()) == list(range(size))


@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_ranks_and_workers_divide_an_epoch_completely_and_disjointly(ranks, workers):
    """Uneven shards, a window that spans some of them, and the chunks of each worker of each rank."""
    sizes, local = [7, 1, 90, 0, 33, 64, 2], 6
    batch_size = ranks * local
    held = {}
    for rank in range(ranks):
        order = Order(sizes, batch_size, 3, window=50)  # each rank and worker has its own
        for step in range(order.batches_per_epoch):
            mine = order.batch(step)[1][rank * local : (rank + 1) * local]
            for worker, chunk in enumerate(np.array_split(mine, workers)):
                held.setdefault((rank, worker), []).extend(chunk.tolist())
    everything = sorted(sum(held.values(), []))
    straight = Order(sizes, 1, 3, window=50)
    count = sum(sizes) // batch_size * batch_size
    assert len(held) == ranks * workers and len(everything) == len(set(everything)) == count
    assert everything == sorted(int(straight.batch(step)[1][0]) for step in range(count))


@given(SIZES, st.integers(1, 8), st.integers(1, 8), st.integers(1, 60), st.integers(0, 40))
def test_a_run_goes_on_where_it_stopped_with_any_batch_size(sizes, before, after, window, step):
    if max(before, after) > sum(sizes):
        return
    order = Order(sizes, before, 1, window)
    same = Order(sizes, before, 1, window, start=order.position(step))
    for further in range(12):
        assert same.position(further) == order.position(step + further)
        np.testing.assert_array_equal(same.batch(further)[1], order.batch(step + further)[1])
    epoch, offset = order.position(step)
    other, single = Order(sizes, after, 1, window, start=(epoch, offset)), Order(sizes, 1, 1, window)
    got = other.batch(0)
    if offset + after > sum(sizes):
        epoch, offset = epoch + 1, 0
    wanted = [single.batch(epoch * sum(sizes) + offset + place)[1][0] for place in range(after)]
    assert got[0] == epoch and got[1].tolist() == wanted


def test_a_small_source_has_one_permutation_of_everything():
    for sizes in (100, [100], [30, 70]):
        wanted = generator(7, 3, "order").permutation(100)
        np.testing.assert_array_equal(epoch_of(Order(sizes, 10, 7), 3), wanted)
        np.testing.assert_array_equal(epoch_of(Order(sizes, 10, 7, window=100), 3), wanted)


def test_shards_and_windows_mix_and_change_with_seed_and_epoch():
    order = Order([100] * 40, 50, 7, window=400)
    first, second = epoch_of(order, 0), epoch_of(order, 1)
    for stream in (first, second):
        shards = [set((stream[start : start + 400] // 100).tolist()) for start in range(0, 4000, 400)]
        assert all(len(held) == 4 for held in shards)
        assert sum(len(set(stream[start : start + 50] // 100)) > 2 for start in range(0, 4000, 50)) > 70
    assert not np.array_equal(first, second)
    assert not np.array_equal(first, epoch_of(Order([100] * 40, 50, 8, window=400), 0))


def test_one_large_shard_is_shuffled_as_pieces():
    """A single file over a window does not show its rows front to back in every epoch."""
    order = Order(10_000, 10, 7, window=500)
    heads = [epoch_of(order, epoch)[:500].mean() for epoch in range(4)]
    assert np.ptp(heads) > 1000


def test_a_large_source_costs_a_window_and_its_shards_and_far_steps_cost_nothing_more():
    sizes = np.full(1500, 1_000_000)
    tracemalloc.start()
    began = time.process_time()
    order = Order(sizes, 1024, 7)
    epoch, positions = order.batch(10**9)
    elapsed, peak = time.process_time() - began, tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert epoch == 10**9 // order.batches_per_epoch and len(np.unique(positions)) == 1024
    assert peak < 20 * 2**20 and elapsed < 10
    assert order.position(10**9) == (epoch, 10**9 % order.batches_per_epoch * 1024)


@pytest.mark.parametrize("start", [(0, 11), (-1, 0), (0, -1), (0, 1, 2)])
def test_a_start_outside_the_source(start):
    with pytest.raises(ConfigError, match="source that it began with"):
        Order(10, 2, 0, start=start)
    assert Order(10, 2, 0, start=(4, 10)).position(0) == (5, 0)

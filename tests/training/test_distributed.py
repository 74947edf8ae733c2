"""How ranks are joined and when they wait, by the device; the launcher and the cards are stood in for."""

from contextlib import nullcontext
from types import SimpleNamespace

import numpy as np
import paddle
import paddle.distributed as dist
import pytest
from paddle.distributed import fleet

from ernie_vil2.device import Device
from ernie_vil2.errors import UserError
from ernie_vil2.stop import StopRequest
from ernie_vil2.training import distributed
from ernie_vil2.training.distributed import Ranks, join_ranks
from ernie_vil2.training.loop import Walk
from ernie_vil2.training.ranks.launch import Launch
from ernie_vil2.training.ranks.watch import LostRank, Watch


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_cards_are_joined_by_fleet_and_cpus_by_one_group(monkeypatch, kind):
    joined, store, watch = [], object(), object()
    monkeypatch.setattr(distributed, "read_launch", lambda: Launch(2, 3, "127.0.0.1", 6170))
    monkeypatch.setattr(distributed, "call_roll", lambda launch, patience: joined.append(("roll", patience)))
    monkeypatch.setattr(distributed, "Watch", lambda *options: watch)
    monkeypatch.setattr(distributed, "joining", lambda patience: nullcontext())
    monkeypatch.setattr(distributed, "STORE_SECONDS", 0)
    monkeypatch.setattr(distributed, "WATCHES", {})
    monkeypatch.setattr(distributed, "current_device", lambda: Device(kind))
    monkeypatch.setattr(fleet, "init", lambda **options: joined.append(("fleet", options)))
    monkeypatch.setattr(dist, "init_parallel_env", lambda: joined.append("one group"))
    monkeypatch.setattr(dist, "is_initialized", lambda: bool(joined))
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    monkeypatch.setattr(paddle.base.core, "create_or_get_global_tcp_store", lambda: store)
    for _ in range(2):  # joined once
        ranks = join_ranks(7.0)
        assert (ranks.rank, ranks.size, ranks.store, ranks.watch) == (2, 3, store, watch)
    assert joined == [("roll", 7.0), "one group" if kind == "cpu" else ("fleet", {"is_collective": True})]


def test_what_paddle_says_against_joining_is_told_with_the_way_out(monkeypatch):
    monkeypatch.setattr(distributed, "read_launch", lambda: Launch(0, 2, "127.0.0.1", 6170))
    monkeypatch.setattr(distributed, "call_roll", lambda launch, patience: None)
    monkeypatch.setattr(dist, "init_parallel_env", lambda: (_ for _ in ()).throw(NotImplementedError("use gloo")))
    with pytest.raises(UserError, match="Paddle cannot join the ranks .NotImplementedError: use gloo.; .*unset"):
        join_ranks()


def test_a_process_without_a_launcher_joins_nobody(monkeypatch):
    monkeypatch.delenv("PADDLE_TRAINERS_NUM", raising=False)
    monkeypatch.setattr(dist, "init_parallel_env", lambda: pytest.fail("joined"))
    assert join_ranks().size == 1


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_only_gloo_needs_the_ranks_to_meet_before_a_step(monkeypatch, kind):
    waited = []
    monkeypatch.setattr(distributed, "current_device", lambda: Device(kind))
    monkeypatch.setattr(Ranks, "wait", lambda self: waited.append(1))
    Ranks(0, 2).meet()
    assert bool(waited) == (kind == "cpu")


def test_sums_are_exact_and_no_device_adds_float64(monkeypatch):
    own, others = [2.0**53 - 1, 1e-300, -1.5], [[1.0, 1e-300, 2.5], [-(2.0**53), 0.0, 0.25]]

    def all_gather(parts, tensor):
        assert tensor.dtype == paddle.int32
        parts += [tensor, *(paddle.to_tensor(np.array(row).view(np.int32)) for row in others)]

    monkeypatch.setattr(dist, "all_gather", all_gather)
    monkeypatch.setattr(dist, "all_reduce", lambda *_: pytest.fail("adds on the device"))
    assert Ranks(0, 3).sum(own).tolist() == [0.0, 2e-300, 1.25]


class Store:
    """Paddle's store, which counts its calls; the others have arrived at all."""

    def __init__(self):
        self.calls, self.counts = [], {}

    def add(self, key, amount):
        self.calls.append(amount)
        self.counts[key] = self.counts.get(key, 1000) + amount
        return self.counts[key]


@pytest.mark.parametrize("watched", [False, True])
def test_a_wait_for_nobody_takes_one_call_of_the_store_watched_or_not(watched):
    store, roll = Store(), SimpleNamespace(tell=lambda place: {0: (place, 0.0), 1: (place, 0.0)})
    watch = Watch(0, 2, roll, 0) if watched else None
    ranks = Ranks(0, 2, store, watch)
    for _ in range(3):
        ranks.wait()
    assert store.calls == [1] * 3
    if watched:
        assert watch.section is None
        watch.close()


def test_only_rank_0_asks_the_store_again_when_it_leaves():
    class Closing(Store):
        def add(self, key, amount):
            self.counts.setdefault(key, 0)
            if amount == 0:
                self.counts[key] += 1  # another rank comes
            return super().add(key, amount)

    stores = [Closing(), Closing()]
    for rank, store in enumerate(stores):  # with its last count rank 0 may go, and the store with it
        Ranks(rank, 3, store).leave()
    assert [store.calls for store in stores] == [[1, 0, 0], [1]]


@pytest.mark.parametrize("error, saved", [(UserError("all have it"), True), (LostRank("one has not come"), False)])
def test_nothing_is_saved_together_with_a_rank_that_does_not_come(error, saved):
    walk = object.__new__(Walk)
    walk.ranks, walk.agreed, walk.saved, walk.saving = Ranks(0, 2), False, 3, False
    walk.rig, walk.stop = SimpleNamespace(done=4, updating=False), StopRequest()
    assert walk.good(error) is saved

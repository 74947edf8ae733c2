"""How ranks are joined and when they wait, by the device; the launcher and the cards are stood in for."""

import numpy as np
import paddle
import paddle.distributed as dist
import pytest
from paddle.distributed import fleet

from ernie_vil2.device import Device
from ernie_vil2.training import distributed
from ernie_vil2.training.distributed import Ranks, join_ranks


@pytest.mark.parametrize("kind", ["cpu", "gpu", "xpu", "npu"])
def test_cards_are_joined_by_fleet_and_cpus_by_one_group(monkeypatch, kind):
    joined, store = [], object()
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "3")
    monkeypatch.setattr(distributed, "current_device", lambda: Device(kind))
    monkeypatch.setattr(fleet, "init", lambda **options: joined.append(("fleet", options)))
    monkeypatch.setattr(dist, "init_parallel_env", lambda: joined.append("one group"))
    monkeypatch.setattr(dist, "is_initialized", lambda: bool(joined))
    monkeypatch.setattr(dist, "get_rank", lambda: 2)
    monkeypatch.setattr(dist, "get_world_size", lambda: 3)
    monkeypatch.setattr(paddle.base.core, "create_or_get_global_tcp_store", lambda: store)
    for _ in range(2):  # joined once
        ranks = join_ranks()
        assert (ranks.rank, ranks.size, ranks.store) == (2, 3, store)
    assert joined == (["one group"] if kind == "cpu" else [("fleet", {"is_collective": True})])


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

"""What a step asks of the host is counted right, Paddle is as it was afterwards, and the benchmark tells all of it."""

import threading

import numpy as np
import paddle
import paddle.distributed as dist
import pytest

from ernie_vil2.cli.bench.main import main
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import UserError
from ernie_vil2.models import layers
from ernie_vil2.objectives import tiles
from ernie_vil2.studies.speed import host, step_parts
from ernie_vil2.studies.traffic import CARRIED, READING, Traffic
from ernie_vil2.training.optimization.weights import ALIGNMENT
from tests.conftest import ROOT

SHALLOW = ["data.train=none", "model.image_tower.depth=1", "model.text_tower.depth=1"]


def config(*overrides):
    return load_run(ROOT / "configs/ernie_vil2_base_vit_zh.yaml", [*SHALLOW, *overrides])


def state_of_paddle():
    owners = paddle.Tensor, paddle.device, paddle.device.cuda, paddle._C_ops, dist, dist.stream
    return [dict(vars(owner)) for owner in owners]


READS = {
    "numpy": lambda x: x.numpy(),
    "item": lambda x: x[0].item(),
    "tolist": lambda x: x.tolist(),
    "cpu": lambda x: x.cpu(),
    "__array__": lambda x: np.asarray(x),
    "__float__": lambda x: float(x[0]),
    "__int__": lambda x: int(x[0]),
    "__bool__": lambda x: bool(x[0] > 0),
    "__index__": lambda x: [0, 1, 2][x[0].astype("int64")],
    "__complex__": lambda x: complex(x[0]),
    "__str__": lambda x: str(x),
    "__format__": lambda x: f"{x[0]:.1f}",
    "nonzero": lambda x: paddle.nonzero(x),
    "masked_select": lambda x: paddle.masked_select(x, x > 0),
    "unique": lambda x: paddle.unique(x),
}


@pytest.mark.parametrize("name", READS)
def test_a_read_is_counted_once_whatever_it_calls(name):
    x = paddle.to_tensor([1.0, 2.0])
    with Traffic() as seen:
        READS[name](x)
        READS[name](x)
    assert seen.reads == {name: 2} and not seen.copies


def test_every_way_to_read_is_tried_above():
    assert set(READING) - set(READS) == {"__long__"}  # of Python 2


def test_waiting_for_a_card_is_a_read():
    with Traffic() as seen, pytest.raises(TypeError):
        paddle.device.synchronize()  # refused on a CPU
    assert seen.reads == {"synchronize": 1}


def test_computing_asks_for_nothing():
    x = paddle.to_tensor([1.0, 2.0])
    with Traffic() as seen:
        y = (paddle.nn.Linear(2, 2)(x.reshape([1, 2])) * 3).sum()
        y.backward()
        x.set_value(x * 2)
        paddle.full([4], 1.0)
    assert not seen.reads and not seen.copies and not seen.copied and not seen.numbers and not seen.collectives


def test_copies_are_counted_with_their_bytes():
    x = paddle.zeros([2, 3])
    with Traffic() as seen:
        paddle.to_tensor(np.ones([5, 7], np.uint8))
        paddle.to_tensor([1.0, 2.0])
        x.set_value(np.ones([2, 3], np.float32))
        paddle.to_tensor(3.0)
        x.lerp_(x, 0.5)
        paddle.Tensor(np.ones(3, np.float64))
        with pytest.raises(ValueError):
            x.cuda()  # refused on a CPU
    assert seen.copies == {"to_tensor": 3, "set_value": 1, "cuda": 1}
    assert seen.copied == 35 + 2 * 4 + 6 * 4 + 3 * 8 + 6 * 4
    assert seen.numbers == 2 and not seen.reads


def test_collectives_are_counted_by_type_with_what_they_carry(monkeypatch):
    """Stand-ins of a job of two ranks, one of which calls another, as Paddle's do."""
    for name in CARRIED:
        monkeypatch.setattr(dist, name, lambda *given, **named: None)
    monkeypatch.setattr(dist, "reduce", lambda tensor, dst: dist.all_reduce(tensor))
    monkeypatch.setattr(dist, "get_world_size", lambda: 2)
    x, y = paddle.zeros([10]), paddle.zeros([3], "int64")
    with Traffic() as seen:
        dist.all_reduce(x)
        dist.all_reduce(tensor=x)
        dist.all_reduce(y)
        dist.reduce(x, 0)
        dist.broadcast(x, 0)
        dist.all_gather([], y)
        dist.reduce_scatter(x, [x, x])
        dist.barrier()
    assert seen.collectives == {
        **dict.fromkeys([("all_reduce", "int64"), ("reduce", "float32"), ("broadcast", "float32")], 1),
        **dict.fromkeys([("all_gather", "int64"), ("reduce_scatter", "float32"), ("barrier", "")], 1),
        ("all_reduce", "float32"): 2,
    }
    assert seen.carried["all_reduce", "float32"] == 80 and seen.carried["all_reduce", "int64"] == 24
    assert seen.carried["reduce", "float32"] == seen.carried["broadcast", "float32"] == 40
    assert seen.carried["all_gather", "int64"] == 48 and seen.carried["reduce_scatter", "float32"] == 80


def test_a_read_in_one_thread_hides_none_in_another(monkeypatch):
    """Towers run in threads of their own."""
    x, inside, done = paddle.to_tensor([1.0]), threading.Event(), threading.Event()
    monkeypatch.setattr(paddle.Tensor, "item", lambda tensor: inside.set() or done.wait(10))
    with Traffic() as seen:
        waiting = threading.Thread(target=x.item)
        waiting.start()
        assert inside.wait(10)
        for _ in range(3):
            x.numpy()
        done.set()
        waiting.join()
    assert seen.reads == {"item": 1, "numpy": 3}


def test_paddle_is_as_it_was_also_after_an_error_and_inside_out():
    before = state_of_paddle()
    with Traffic() as outer:
        with pytest.raises(ZeroDivisionError), Traffic() as inner:
            paddle.ones([1]).item()
            raise ZeroDivisionError
        paddle.ones([1]).item()
    assert state_of_paddle() == before
    assert (inner.reads["item"], outer.reads["item"]) == (1, 2)
    paddle.ones([1]).item()
    assert outer.reads["item"] == 2


def test_time_within_a_part_counts_there_alone(monkeypatch):
    now = [0.0]
    monkeypatch.setattr(step_parts.time, "process_time", lambda: now[0])
    monkeypatch.setattr(step_parts.time, "perf_counter", lambda: 2 * now[0])

    def take(seconds):
        now[0] += seconds

    clock = step_parts.StepClock()
    inner = clock.timed("inner", lambda: take(2))
    outer = clock.timed("outer", lambda: (take(1), inner(), inner()))
    for rest in (0.5, 7.0, 1.0):
        clock.step(lambda rest=rest: (take(rest), outer()))
    assert clock.medians() == {"inner": 4, "outer": 1, "rest": 1.0, "step": 6.0}
    assert [step["step"] for step in clock.steps] == [5.5, 12.0, 6.0] and clock.elapsed == [11.0, 24.0, 12.0]


def test_the_rigs_own_step_is_timed_by_part_and_left_as_it_was():
    rig = host.rig_of(host.narrow(config(), 2))
    before = [(owner, name, vars(owner).get(name)) for _, owner, name in step_parts.part_calls(rig)]
    found = host.step_costs(rig, 1)
    rig.close()
    assert [(owner, name, vars(owner).get(name)) for owner, name, _ in before] == before
    parts = found["milliseconds"]
    assert set(parts) >= {"gradients", "AdamW", "EMA", "rest", "step"}
    assert parts["step"] == pytest.approx(sum(parts[part] for part in parts if part != "step"))
    assert parts["gradients"] > parts["AdamW"] and parts["EMA"] > 0 and parts["AdamW"] > 0
    assert sum(found["reads"].values()) >= 1 and not found["collectives"] and found["pairs"] == 2


def test_depth_and_dropout_are_those_of_the_run_and_the_rest_is_narrow():
    run = config("model.image_tower.depth=7", "model.text_tower.dropout=0.3")
    found = host.narrow(run, 3, chunks=2, ranks=4)
    image, text = found.model.image_tower, found.model.text_tower
    assert (image.depth, text.depth, text.dropout, image.drop_path) == (7, 1, 0.3, 0.1)
    assert image.width == text.width == host.WIDTH and found.objective == run.objective
    assert found.train.batch_size == 24 and found.train.micro_batch == 3 and found.train.ema
    assert run.model.image_tower.width == 768 and run.train.batch_size == 256
    with pytest.raises(UserError, match="cannot be made narrow"):
        host.narrow(config("model.image_tower={kind: efficientnet}", "model.pixels={size: 456}"), 2)


def test_the_branches_of_a_card_are_forced_inside_alone(monkeypatch):
    fused, asked = [], layers.F.scaled_dot_product_attention
    monkeypatch.setattr(
        layers.F, "scaled_dot_product_attention", lambda *given, **named: fused.append(1) or asked(*given, **named)
    )
    monkeypatch.setattr(host, "ROUNDS", 1)
    small = host.narrow(config(), 2)
    cpu = host.measured_here(small, 1)
    assert not fused
    card = host.measured_here(small, 1, card=True)
    assert len(fused) >= 2  # a block of each tower
    assert card["copied"] < cpu["copied"]  # pixels go up as bytes
    assert layers.device_of(paddle.ones([1])).is_cpu
    with host.branches_of_a_card():
        assert tiles.wide() == paddle.float32
    assert tiles.wide() == paddle.float64


@pytest.mark.slow
def test_two_ranks_send_their_gradients():
    """In a job of its own; what else is summed is little."""
    small = host.narrow(config(), 2, ranks=2)
    found = host.measure(small, 1, ranks=2)
    sums = [row["bytes"] for name, row in found["collectives"].items() if name == "all_reduce float32"]
    gathered = {second for _, second, _ in small.objective.weighted_pairs()}
    views = 4 * (2 * 2) * len(gathered) * host.WIDTH
    padding = 4 * (ALIGNMENT - 1) * found["parameters"]
    assert 4 * found["values"] + views <= sum(sums) < 4 * found["values"] + views + padding + 1000
    assert found["pairs"] == 2 and found["milliseconds"]["sum over ranks"] > 0


def test_the_verb_tells_both_branches(monkeypatch, capsys):
    monkeypatch.setattr(host, "ROUNDS", 1)
    monkeypatch.setattr(host, "measure", lambda run, steps, ranks, card=False: host.measured_here(run, steps, card))
    main(["host", "--steps", "1", "--pairs", "2", *(word for override in SHALLOW for word in ("-o", override))])
    lines = capsys.readouterr().out.splitlines()
    rows = {line[:36].strip(): line[36:].split() for line in lines}
    assert rows["ms of a step, branches of a"] == ["cpu", "card"]
    assert all(float(value) > 0 for part in ("gradients", "EMA", "step", "a small call, us") for value in rows[part])
    assert all(int(value) > 0 for value in rows["reads, all"] + rows["copies from the host, all"])
    assert lines[-1].startswith("2 pairs of a rank, 5 views, ")


def test_a_job_that_fails_is_one_sentence(monkeypatch):
    monkeypatch.setattr(host, "START", "raise SystemExit('no room')")
    with pytest.raises(UserError, match="could not be measured: no room"):
        host.measure(host.narrow(config(), 2), 1)

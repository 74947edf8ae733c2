"""Rows of every rank with their gradient, by each way a backend has; the other ranks are stood in for."""

import numpy as np
import paddle
import paddle.distributed as dist
import pytest

from ernie_vil2.device import Device
from ernie_vil2.errors import ConfigError
from ernie_vil2.objectives import gather
from ernie_vil2.objectives.gather import Share, divide, gather_rows

COUNTS = (3, 1, 2)


@pytest.mark.parametrize("rank", range(3))
@pytest.mark.parametrize("kind, collective", [("cpu", "all_reduce"), ("gpu", "reduce_scatter"), ("npu", "all_reduce")])
def test_the_gradient_is_what_every_rank_says_of_this_ranks_rows(monkeypatch, kind, collective, rank):
    rng, share, used = np.random.default_rng(rank), Share(rank, COUNTS, 0, 3), []
    start = share.start
    rows, gradients = rng.normal(size=(6, 2)).astype("float32"), rng.normal(size=(3, 6, 2)).astype("float32")

    def padded(part):
        return np.pad(part, ((0, 3 - len(part)), (0, 0)))

    def split(whole):
        return [padded(part) for part in np.split(whole, np.cumsum(COUNTS)[:-1])]

    def all_gather(parts, own):
        np.testing.assert_array_equal(own.numpy(), split(rows)[rank])
        parts += map(paddle.to_tensor, split(rows))

    def all_reduce(tensor):
        used.append("all_reduce")
        tensor.set_value(tensor + paddle.to_tensor(np.delete(gradients, rank, 0).sum(0)))

    def reduce_scatter(own, parts):
        used.append("reduce_scatter")
        others = [split(gradient)[rank] for gradient in np.delete(gradients, rank, 0)]
        own.set_value(parts[rank] + paddle.to_tensor(np.sum(others, axis=0)))

    monkeypatch.setattr(gather, "device_of", lambda tensor: Device(kind))
    for function in (all_gather, all_reduce, reduce_scatter):
        monkeypatch.setattr(dist, function.__name__, function)
    own = paddle.to_tensor(rows[start : start + share.rows], stop_gradient=False)
    gathered = gather_rows(own, share)
    np.testing.assert_array_equal(gathered.numpy(), rows)
    (gathered * paddle.to_tensor(gradients[rank])).sum().backward()
    wanted = gradients.sum(0)[start : start + share.rows]
    np.testing.assert_allclose(own.grad.numpy(), wanted, rtol=1e-5, atol=1e-6)
    assert used == [collective]


@pytest.mark.parametrize(
    "batch, micro, size, hint",
    [
        (3, 0, 4, "set it to 4 or more, or start 3 ranks"),
        (3, 1, 4, "set it to 4 or more, or start 3 ranks"),
        (6, 0, 4, "set train.micro_batch to at most 1"),
        (64, 32, 4, "set train.micro_batch to at most 16"),
    ],
)
def test_advice_on_a_division_is_new_and_works(batch, micro, size, hint):
    with pytest.raises(ConfigError, match=hint):
        divide(batch, micro, 0, size)
    number = int(hint.split()[5] if "micro" in hint else hint.split()[3])
    share = divide(batch, number, 0, size) if "micro" in hint else divide(number, micro, 0, size)
    assert min(share.counts) > 0

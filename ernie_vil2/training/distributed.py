"""Several processes as one run: Paddle fleet collective, and the few collectives that a training step needs.

Started by `python -m paddle.distributed.launch`, or alone, with the same result. Gradients are summed here, once a
step and in buckets, because a step runs a tower several times (views, cached chunks) and the loss of a rank is its
summand of the global one: no averaging, no hooks in the backward pass.
"""

import time
from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import paddle
import paddle.distributed as dist

from ..device import current_device
from ..errors import UserError, cause_of
from .optimization.gradients import BUCKET, Gradients
from .ranks.launch import Launch, read_launch, way_out
from .ranks.watch import PATIENCE, Watch, call_roll, joining

ARRIVED, LEFT = "ernie_vil2/arrived", "ernie_vil2/left"
"""Counters in the store: arrivals at any wait, and ranks that are done."""
SHORTEST_POLL, LONGEST_POLL = 0.0005, 0.05
"""Seconds between two looks at the store while a rank waits; each is twice the one before."""
STORE_SECONDS = 0.3
"""In which rank 0 opens the store: a rank that comes before that waits for three seconds (Paddle 3.3.1)"""

LOST = ("gloo", "Connection", "connection", "TCP receive", "NCCL", "BKCL")
"""Words in errors of collectives and of the store; those of plug-ins (xccl) are their own."""


class Ranks:
    """This process among all of the run; `rank` 0 of `size` 1 when it is alone. watch: tells who does not come."""

    def __init__(self, rank: int = 0, size: int = 1, store: Any = None, watch: Watch | None = None) -> None:
        self.rank, self.size, self.store, self.watch = rank, size, store, watch
        self.waits = 0

    @property
    def main(self) -> bool:
        """Whether this rank writes what is written once."""
        return self.rank == 0

    def together(self) -> AbstractContextManager:
        """What the block does is done by all ranks, and waits for them: who does not come is told."""
        return self.watch.together() if self.watch is not None else nullcontext()

    def apart(self) -> AbstractContextManager:
        """Inside `together`, a block of work of this rank's own, for which the others wait."""
        return self.watch.alone() if self.watch is not None else nullcontext()

    def sum(self, values: Iterable[float]) -> np.ndarray:
        """float64 [n]: the sum of every rank's numbers, the same bits on every rank.

        Devices carry them as integers and the host adds them up: not every card adds float64.
        """
        values = np.ascontiguousarray(values, np.float64)
        if self.size == 1:
            return values
        parts = []
        with self.together():
            dist.all_gather(parts, paddle.to_tensor(values.view(np.int32)))
            return paddle.concat(parts).numpy().view(np.float64).reshape(self.size, -1).sum(0)

    def any(self, *flags: bool) -> list[bool]:
        """Whether any rank says so, for each flag, once all are here; every rank gets the same answers."""
        self.meet()
        return [bool(count) for count in self.sum(flags)]

    def wait(self) -> None:
        """Return when every rank is here; unlike a collective on gloo, which gives up after 30 seconds, for as long as
        the watch has patience: LostRank. A rank that died ends the wait through the launcher."""
        if self.size == 1:
            return
        self.waits += 1
        self._count(ARRIVED, self.waits * self.size)

    def leave(self) -> None:
        """The last thing a rank does: rank 0 holds the store, so it stays until nobody needs it."""
        if self.size == 1:
            return
        self._count(LEFT, self.size if self.main else 0)
        if self.watch is not None:
            self.watch.close()

    def _count(self, counter: str, wanted: int) -> None:
        """Count this rank in the store, and wait until the counter has what is wanted."""
        with self.together():
            count, pause = self.store.add(counter, 1), SHORTEST_POLL
            while count < wanted:  # who wants nothing asks no more: rank 0 may have left, and the store with it
                if self.watch is not None:
                    self.watch.check()
                time.sleep(pause)
                pause = min(2 * pause, LONGEST_POLL)
                count = self.store.add(counter, 0)

    def lost(self, error: BaseException) -> str | None:
        """As `lost_rank`, with the ranks that were missed."""
        return lost_rank(error, self.watch.absence.missing if self.watch is not None else "") if self.size > 1 else None

    def meet(self) -> None:
        """Wait where the next collective would not: on gloo, after what takes one rank longer than others."""
        if current_device().backend == "gloo":
            self.wait()

    def all_rows(self, array: np.ndarray) -> np.ndarray:
        """Rows of every rank's array [n, ...], in the order of ranks; n may differ."""
        if self.size == 1:
            return array
        counts = np.zeros(self.size)
        counts[self.rank] = len(array)
        counts = self.sum(counts).astype(int)
        most = np.zeros((counts.max(), *array.shape[1:]), array.dtype)
        most[: len(array)] = array
        parts = []
        with self.together():
            dist.all_gather(parts, paddle.to_tensor(most))
            return np.concatenate([part.numpy()[:count] for part, count in zip(parts, counts, strict=True)])


def lost_rank(error: BaseException, missing: str = "") -> str | None:
    """A sentence where an error of a collective says that another rank has gone, else None; missing: which, if known.

    On gloo it comes at once (measured), or after 30 seconds from a rank that is stopped. On cards a collective probably
    hangs until the launcher or the watch ends the rank, so none may come (read in Paddle 3.3.1, docs/training.md); the
    words are those of its phi/core/enforce.h and enforce_xpu.h.
    """
    text = str(error)
    if not any(word in text for word in LOST):
        return None
    last = text.strip().splitlines()[-1][:120]
    who = missing or "another rank"
    what = f"{who} did not answer for 30 seconds" if "TIMEOUT" in text else f"{who} has gone"
    return (
        f"{what} ({last}); the log of the one that failed, "
        "log/workerlog.*, says why; go on from the last checkpoint with --resume auto"
    )


def join_ranks(patience: float = PATIENCE) -> Ranks:
    """The Ranks of this run; joins the other processes through fleet when there are any.

    patience: seconds for which one rank may keep the others waiting, 0 for no limit. Raises ConfigError where the
    launcher's variables contradict each other, UserError where the ranks do not find each other. On gloo only the one
    group that is used is made: fleet.init makes one for every kind of parallelism, and with four ranks that hangs or is
    refused now and then (Paddle 3.3.1, 1 of 5 starts here; 0 of 5 like this).
    """
    launch, backend = read_launch(), current_device().backend
    if launch.size == 1:
        return Ranks()
    if not dist.is_initialized():
        roll = call_roll(launch, patience)
        with joining(patience):
            _join(launch, backend)
        WATCHES[launch.rank] = Watch(launch.rank, launch.size, roll, patience, backend != "gloo")
    store = paddle.base.core.create_or_get_global_tcp_store()
    return Ranks(dist.get_rank(), dist.get_world_size(), store, WATCHES.get(launch.rank))


WATCHES: dict[int, Watch] = {}
"""That of this process, under its rank"""


def _join(launch: Launch, backend: str) -> None:
    """Let Paddle join the ranks, all of which are there."""
    if launch.rank:
        time.sleep(STORE_SECONDS)
    try:
        if backend == "gloo":
            dist.init_parallel_env()
        else:
            from paddle.distributed import fleet

            fleet.init(is_collective=True)
    except Exception as error:
        raise UserError(f"Paddle cannot join the ranks ({cause_of(error)}); {way_out()}") from error


def owners(parameters: Iterable[tuple[str, paddle.Tensor]], size: int) -> dict[str, int]:
    """{name: rank}: every named parameter to one rank, the largest first to the rank that has least."""
    load, owner = [0] * size, {}
    for name, parameter in sorted(parameters, key=lambda item: (-item[1].size, item[0])):
        owner[name] = min(range(size), key=lambda rank: (load[rank], rank))
        load[owner[name]] += int(parameter.size)
    return owner


class GradientSync:
    """Sums gradients over ranks and, under sharding, sends new weights from the rank that has the optimizer's state.

    Sharding 1 divides the optimizer's state, sharding 2 also gives a summed gradient to its owner only. After the
    owner's step `publish` sends the new fp32 values to all. References: ZeRO (arXiv 1910.02054).
    """

    def __init__(self, gradients: Gradients, ranks: Ranks, sharding: int = 0) -> None:
        self.gradients, self.ranks = gradients, ranks
        self.sharding = sharding if ranks.size > 1 else 0

    @property
    def own(self) -> int | None:
        """The owner whose buckets hold the summed gradient here; None for all."""
        return self.ranks.rank if self.sharding == 2 else None

    def reduce(self) -> None:
        """Sum the gradients of all ranks."""
        if self.ranks.size == 1:
            return
        for bucket in self.gradients.to_reduce():
            if self.sharding == 2:
                dist.reduce(bucket.part, bucket.owner)
            else:
                dist.all_reduce(bucket.part)

    def publish(self) -> None:
        """Send every weight from its owner to the other ranks."""
        if self.sharding:
            weights = self.gradients.weights
            for bucket in self.gradients.held:
                dist.broadcast(weights.values._slice(bucket.start, bucket.end), bucket.owner)
            weights.round(weights.learning)

    def same_start(self) -> None:
        """Give every rank the weights of rank 0, and what lies beside them, as running statistics."""
        if self.ranks.size == 1:
            return
        with self.ranks.together():
            self._send_all()

    def _send_all(self) -> None:
        weights = self.gradients.weights
        size = int(weights.values.size)
        for start in range(0, size, BUCKET // 4):
            dist.broadcast(weights.values._slice(start, min(start + BUCKET // 4, size)), 0)
        weights.round()
        held = {id(span.parameter) for span in weights.spans}
        for parameter in weights.model.parameters():
            if id(parameter) not in held:
                dist.broadcast(parameter, 0)

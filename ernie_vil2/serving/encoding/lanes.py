"""A lane: what waits for one tower of a model, batch after batch, each of whoever is there when the tower is free."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ..refusals import Refusal

Gone = Callable[[], Awaitable[bool]]
"""Whether who asked is gone, as `Request.is_disconnected` tells"""
GONE = 499
"""The status of what is answered to nobody, as other servers' logs have it"""
LONGEST_BATCH = 0.25
"""Seconds that a batch should take at most: beyond that more items make no item faster, and later ones wait"""
KEPT_SHARE = 0.8
"""Of the measured seconds an item, when another batch was measured"""
LONGEST_WAIT = 60
"""Seconds after which a refused request is asked to come again, at most"""


@dataclass
class Asked:
    """An item that waits or is encoded, with the futures of those who asked for it, and how to know that one is gone.

    size: of a text in tokens."""

    item: Any
    key: Hashable
    size: int
    askers: list[tuple[asyncio.Future, Gone | None]] = field(default_factory=list)

    def settle(self, vector: np.ndarray | None, error: Exception | None = None) -> None:
        """Answer all who wait for it."""
        for future, _ in self.askers:
            if not future.done():
                future.set_exception(error) if error is not None else future.set_result(vector)

    def wanted(self) -> bool:
        """Whether anybody waits for it."""
        return any(not future.done() for future, _ in self.askers)


def together(sizes: Sequence[int]) -> list[int]:
    """All of them in one batch."""
    return list(range(len(sizes)))


class Lane:
    """The queue of one tower. Lives in one event loop; batches are encoded in a thread of its own.

    name: of the thread. encode: called with a list of items there, gives their vectors [N, D]. most: items of a batch.
    group: of the sizes of those who wait, the places of those who go with the first. seen: called with the number of
    items of every batch. seconds: of an item, as measured; 0 before the first.
    """

    def __init__(
        self,
        name: str,
        encode: Callable[[list[Any]], np.ndarray],
        most: int,
        group: Callable[[Sequence[int]], list[int]] = together,
        seen: Callable[[int], object] = lambda count: None,
    ):
        self._encode, self._most, self._group, self._seen = encode, most, group, seen
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=name)
        self._waiting: list[Asked] = []
        self._known: dict[Hashable, Asked] = {}
        self._task: asyncio.Task | None = None
        self.seconds = 0.0

    def __len__(self) -> int:
        """Items that wait."""
        return len(self._waiting)

    @property
    def wait(self) -> int:
        """Whole seconds until all that waits now will be encoded, by the rate that was measured."""
        return min(LONGEST_WAIT, max(1, math.ceil(len(self._waiting) * self.seconds)))

    async def vector(self, item: Any, gone: Gone | None = None, key: Hashable = None, size: int = 0) -> np.ndarray:
        """The vector of an item. key: equal items have an equal one, and are encoded once for all who ask meanwhile.

        Refusal `gone` where the client is gone before the item's turn; otherwise raises what encoding raises.
        """
        asked = self._known.get(key) if key is not None else None
        if asked is None:
            asked = Asked(item, key, size)
            self._waiting.append(asked)
            if key is not None:
                self._known[key] = asked
        future = asyncio.get_running_loop().create_future()
        asked.askers.append((future, gone))
        if self._task is None:
            self._task = asyncio.create_task(self._work())
        return await future

    async def _work(self):
        """Batch after batch, until nobody waits."""
        try:
            while self._waiting:
                for asked in self._waiting[: self._most]:
                    await drop_gone(asked)
                batch = self._next()
                if batch:
                    await self._run(batch)
        finally:
            self._task = None

    def _next(self):
        """The next batch, taken out of the queue: the oldest and whoever goes with it."""
        for asked in self._waiting:
            if not asked.wanted():
                self._known.pop(asked.key, None)
        self._waiting = [asked for asked in self._waiting if asked.wanted()]
        most = self._most if not self.seconds else min(self._most, max(1, int(LONGEST_BATCH / self.seconds)))
        first = self._waiting[: self._most]
        batch = [first[place] for place in self._group([asked.size for asked in first])[:most]] if first else []
        taken = set(map(id, batch))
        self._waiting = [asked for asked in self._waiting if id(asked) not in taken]
        return batch

    async def _run(self, batch):
        """Encode a batch; where it fails, each item alone, so that one is not refused for another."""
        loop, began = asyncio.get_running_loop(), time.perf_counter()
        try:
            vectors = await loop.run_in_executor(self._thread, self._encode, [asked.item for asked in batch])
        except Exception as error:
            if len(batch) > 1:
                for asked in batch:
                    await self._run([asked])
                return
            self._forget(batch)
            batch[0].settle(None, error)
            return
        took = (time.perf_counter() - began) / len(batch)
        self.seconds = KEPT_SHARE * self.seconds + (1 - KEPT_SHARE) * took if self.seconds else took
        self._seen(len(batch))
        self._forget(batch)
        for asked, vector in zip(batch, vectors, strict=True):
            asked.settle(vector)

    def _forget(self, batch):
        for asked in batch:
            if self._known.get(asked.key) is asked:
                del self._known[asked.key]

    def stop(self) -> None:
        """Encode no more; what is being encoded ends by itself."""
        self._thread.shutdown(wait=False, cancel_futures=True)


async def drop_gone(asked: Asked) -> None:
    """Settle the futures of clients that are gone."""
    for future, gone in tuple(asked.askers):
        if not future.done() and gone is not None and await is_gone(gone) and not future.done():
            future.set_exception(Refusal(GONE, "gone"))


async def is_gone(gone: Gone) -> bool:
    """What a Gone tells; where it fails, its request does, and the others that wait do not."""
    try:
        return await gone()
    except Exception:
        return True

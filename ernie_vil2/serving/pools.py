"""Threads for what blocks: a fixed number of them, and a fixed number of calls that wait for one."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any, TypeVar

from .refusals import Refusal

Result = TypeVar("Result")
SOON = 1
"""Seconds after which a refused request may come again"""


class Pool:
    """`await pool(function, ...)` from the event loop. name: of its threads; waiting: calls that may wait for one."""

    def __init__(self, name: str, threads: int, waiting: int):
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=name)
        self._most = threads + waiting
        self._held = 0

    async def __call__(self, function: Callable[..., Result], *given: Any, **named: Any) -> Result:
        """The result of a function that a thread calls; Refusal `busy` where too many calls wait."""
        if self._held >= self._most:
            raise Refusal(429, "busy", retry_after=SOON, seconds=SOON)
        self._held += 1
        call = asyncio.get_running_loop().run_in_executor(self._executor, partial(function, *given, **named))
        call.add_done_callback(self._let_go)
        return await call

    def _let_go(self, call):
        self._held -= 1
        if not call.cancelled():
            call.exception()  # whoever asked may be gone, and then nobody else reads it

    @property
    def held(self) -> int:
        """Calls that run or wait."""
        return self._held

    def stop(self) -> None:
        """Drop what waits; what runs ends by itself."""
        self._executor.shutdown(wait=False, cancel_futures=True)

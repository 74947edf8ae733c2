"""Batches side by side: on a CPU, several batches on one thread each beat one batch on several threads.

Paddle's matrix products use the threads of OMP_NUM_THREADS, its other kernels (softmax, activations, layer norm,
transposes) use one; Python threads that each run a whole batch keep every core busy in all of them. Kernels release
the interpreter lock.
"""

import ctypes
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from typing import TypeVar

from .errors import UserError
from .runtime import cpu_count, widen_signal_stack

MOST_WORKERS = 8

Item, Result = TypeVar("Item"), TypeVar("Result")

_lock = threading.Lock()
_splits = 0
_computed = False
"""Whether this process, or the one that it was forked from, has computed"""
_forked = False
"""Whether this process was forked from one that had computed"""
_threaded: weakref.WeakSet = weakref.WeakSet()
_ending: set[int] = set()
"""Threads of the system whose Python threads are done, and which may still take down what C++ libraries keep of them"""
LONGEST_END = 1.0
"""Seconds that a fork waits for them"""


def note_computing() -> None:
    """Note that this process computes from here on, for the processes that are forked from it."""
    global _computed
    _computed = True
    widen_signal_stack()
    if _forked:  # the setting is one of the calling thread
        set_kernel_threads(1)


def refuse_fork(device: str) -> None:
    """Raise UserError in a process that was forked after its parent had computed, for a card, which it cannot use."""
    if _forked:
        raise UserError(
            f"this process was forked after its parent had computed, so it cannot use {device}; start processes with "
            "multiprocessing's spawn, or fork before anything is computed"
        )


def forked() -> bool:
    """Whether this process was forked from one that had computed, whose threads are gone here."""
    return _forked


def keep_in_children(thing: object) -> None:
    """Keep an object with threads of a C++ library for ever in processes that are forked from this one: there its
    threads are gone, and taking it down waits for them, or crashes."""
    _threaded.add(thing)


def _before_fork() -> None:
    """Wait for threads that are ending: OpenCV's mutex, which they take for that, would stay locked in the child."""
    latest = time.monotonic() + LONGEST_END
    while _still_ending() and time.monotonic() < latest:
        time.sleep(0.001)


def _still_ending() -> set[int]:
    """Those of `_ending` that are there yet, on systems with /proc."""
    global _ending
    _ending = {number for number in tuple(_ending) if os.path.exists(f"/proc/self/task/{number}")}
    return _ending


def _after_fork() -> None:
    """In a child the threads of its parent are gone, and the kernels' pool would wait or crash for want of them."""
    global _lock, _splits, _forked
    _lock, _splits, _forked = threading.Lock(), 0, _computed
    for thing in list(_threaded):
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(thing))  # a list of them would end with the interpreter
    if _forked:
        set_kernel_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_child=_after_fork)


def thread_count() -> int:
    """Threads this process may compute with: the first number of OMP_NUM_THREADS, else the cores; one in a process that
    was forked after its parent had computed."""
    if _forked:
        return 1
    first = os.environ.get("OMP_NUM_THREADS", "").split(",")[0].strip()
    return int(first) if first.isdigit() and int(first) else cpu_count()


def ordered_map(
    function: Callable[[Item], Result],
    items: Iterable[Item],
    workers: int,
    ahead: int,
    prepare: Callable[[], object] | None = None,
) -> Iterator[Result]:
    """Yield function(item) in the order of `items`, computed by `workers` threads at most `ahead` items in advance.

    `prepare` is called once in every thread. Items are taken lazily; an exception of `function` or of `items` ends it.
    """
    if workers < 2:
        yield from map(function, items)
        return
    numbers, waiting = set(), deque()

    def begin():
        numbers.add(threading.get_native_id())
        if prepare is not None:
            prepare()

    pool = ThreadPoolExecutor(workers, initializer=begin)
    try:
        for item in items:
            waiting.append(pool.submit(function, item))
            if len(waiting) > ahead:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
        _still_ending()
        _ending.update(numbers)


def all_done(pool: ThreadPoolExecutor, work: Callable[..., Result], *items: Iterable) -> list[Result]:
    """[work(*item) of the items side by side], as map pairs them; none is still computed when an exception leaves here,
    which is that of the first item that has one."""
    waiting = [pool.submit(work, *item) for item in zip(*items, strict=True)]
    try:
        return [found.result() for found in waiting]
    finally:
        wait(waiting)


class SplitThreads:
    """A context in which `workers` threads share the CPU's threads; each calls `prepare` before its first kernel.

    One worker leaves Paddle's setting alone. The setting is global to the process, so the last context restores it.
    """

    def __init__(self, workers: int):
        self.workers = workers
        self.each = max(1, thread_count() // workers)

    def __enter__(self):
        global _splits
        note_computing()
        if self.workers > 1:
            with _lock:
                _splits += 1
        return self

    def prepare(self) -> None:
        """Limit the kernels of the calling thread."""
        set_kernel_threads(self.each)

    def __exit__(self, *error):
        global _splits
        if self.workers > 1:
            with _lock:
                _splits -= 1
                if not _splits:
                    set_kernel_threads(thread_count())


def set_kernel_threads(count: int) -> None:
    """Threads of matrix products started from the calling thread."""
    from paddle.base import core

    core.set_num_threads(count)

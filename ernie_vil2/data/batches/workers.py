"""Processes that make chunks of batches, and the watch over them: who is stuck, who died, and on which sample."""

import collections
import contextlib
import logging
import math
import multiprocessing
import os
import pickle
import queue
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing import connection, resource_tracker, util
from multiprocessing.context import BaseContext
from typing import Any

import numpy as np

from ...errors import DataError, cause_of
from ...plugins import Carried
from ...waiting import Reminder
from .shared_memory import PixelRing, SharedBytes, small_block
from .worker_process import QUIET, work

AHEAD = 2
"""Chunks given to a worker at a time: one that it makes, and the next, so that it need not wait for this process."""
START_SECONDS = 120
NAMING_SECONDS = 5
TICK = 1.0
LOG = logging.getLogger("ernie_vil2")


class Worker:
    """What the parent knows of a process: its pipe, the tickets it has, and for how long it has been on the first."""

    def __init__(
        self, number: int, context: BaseContext, make: Callable[..., Any], ring: PixelRing | None, progress: SharedBytes
    ):
        self.number, self.tickets, self.spent, self.started = number, collections.deque(), 0.0, False
        self.pipe, theirs = context.Pipe()
        arguments = number, os.getpid(), theirs, Carried(), make, ring, progress  # it is unpickled before `make`
        self.process = context.Process(target=work, args=arguments, daemon=True, name=f"loader worker {number}")
        try:
            self.process.start()
        except (TypeError, AttributeError, pickle.PicklingError) as error:
            raise DataError(
                f"the source cannot be given to loader processes ({cause_of(error)}); it must keep nothing that cannot "
                "be pickled, such as an open file, or set data.workers: 0"
            ) from error
        theirs.close()


class Crew:
    """Worker processes behind two calls: `submit` a chunk, `take` the next one that is finished.

    make: callable (epoch, positions, pixels to fill or None, offset in them, [current position]), sent to each process.
    timeout: seconds that one chunk may take. describe(position) names a sample for messages; name is the source's.
    """

    def __init__(
        self,
        make: Callable[..., Any],
        workers: int,
        ring: PixelRing | None,
        timeout: float,
        name: str,
        describe: Callable[[int], str],
    ):
        self.timeout, self.name, self.describe = timeout, name, describe
        self.lock, self.waiting, self.finished = threading.Lock(), collections.deque(), queue.SimpleQueue()
        self.closed, self.reminder, self.hearing = False, Reminder(), None
        self.progress = small_block(8 * workers)
        self.progress.array.view(np.int64)[:] = -1
        context = multiprocessing.get_context("spawn")
        self.workers = []
        # At exit multiprocessing would send SIGTERM, which workers ignore, and wait for them.
        self.end = util.Finalize(self, end_all, args=(self.workers,), exitpriority=100)
        try:
            with quiet_start():
                for number in range(workers):
                    self.workers.append(Worker(number, context, make, ring, self.progress))
        except BaseException:
            self.end()
            raise
        self.progress.release()
        self.thread = threading.Thread(target=self._watch, name="loader", daemon=True)
        self.thread.start()

    def submit(self, ticket: Any, slot: int | None, offset: int, epoch: int, positions: np.ndarray) -> None:
        """Have a chunk made: `positions` of `epoch`, whose pixels belong at `offset` of the ring's `slot`."""
        with self.lock:
            if not self.closed:  # else `take` says so
                self.waiting.append((ticket, slot, offset, epoch, positions))
                self._feed()

    def take(self) -> tuple[Any, Any]:
        """(ticket, result) of a finished chunk; waits for one. Raises DataError for what stopped the workers."""
        began = time.monotonic()
        while (found := self._finished()) is None:
            if self.reminder.due(waited := time.monotonic() - began):
                LOG.warning("%s: waiting for a batch for %.0f s; %s", self.name, waited, self._delay())
        ticket, result, error = found
        if error is not None:
            self.finished.put((None, None, error))
            raise error
        return ticket, result

    def _finished(self):
        """What comes within TICK; None for nothing. A worker that stops within an answer holds the watch as well."""
        try:
            return self.finished.get(timeout=TICK)
        except queue.Empty:
            worker, since = self.hearing or (None, math.inf)
            if time.monotonic() - since <= self.timeout:
                return None
            raise DataError(
                f"{self.name}: loader worker {worker.number} (pid {worker.process.pid}) has stopped "
                f"within an answer for over {self.timeout:g} s (data.timeout); start again"
            ) from None

    def _delay(self):
        worker = max(self.workers, key=lambda worker: worker.spent)
        who = f"loader worker {worker.number} (pid {worker.process.pid})"
        limit = f"the limit, data.timeout, is {self.timeout:g} s"
        return f"{who} has been {self._place(worker)} for {worker.spent:.0f} s; {limit}"

    def close(self) -> None:
        """End all processes at once; they hold nothing that could be lost."""
        with self.lock:
            self.closed = True
        self.end()
        self.thread.join(10)
        for worker in self.workers:
            worker.pipe.close()
        self.finished.put((None, None, DataError(f"{self.name}: the loader is closed; iterate over it anew")))

    def _feed(self):
        for worker in sorted(self.workers, key=lambda worker: len(worker.tickets)):
            while self.waiting and len(worker.tickets) < AHEAD:
                job = self.waiting.popleft()
                worker.tickets.append(job[0])
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # _watch will say that it died
                    worker.pipe.send(job)

    def _watch(self):
        try:
            last = time.monotonic()
            while not self.closed:
                handles = {worker.pipe: worker for worker in self.workers}
                handles.update({worker.process.sentinel: worker for worker in self.workers})
                ready = {handles[handle] for handle in connection.wait(handles, min(TICK, self.timeout / 4))}
                now = time.monotonic()
                passed, last = min(now - last, 2 * TICK), now  # no more, or a pause of this process would count
                for worker in self.workers:
                    self._hear(worker) if worker in ready else self._wait(worker, passed)
        except Exception as error:
            self.finished.put((None, None, error))

    def _hear(self, worker):
        """Receive what a worker has sent; without anything, it has died."""
        worker.spent = 0.0
        try:
            if not worker.pipe.poll():
                raise EOFError
            self.hearing = (worker, time.monotonic())
            message = worker.pipe.recv()
            self.hearing = None
        except (EOFError, OSError):
            if not self.closed:
                raise self._death(worker) from None
            return
        if message is None:
            worker.started = True
            return
        ticket, result, error = message
        if isinstance(error, str):
            error = RuntimeError(f"loader worker {worker.number} failed:\n{error}")
        with self.lock:
            worker.tickets.popleft()
            if not self.closed:
                self._feed()
        self.finished.put((ticket, result, error))

    def _wait(self, worker, passed):
        worker.spent = worker.spent + passed if worker.tickets or not worker.started else 0.0
        if worker.spent > (self.timeout if worker.started else max(self.timeout, START_SECONDS)):
            raise DataError(
                f"{self.name}: loader worker {worker.number} (pid {worker.process.pid}) has been {self._place(worker)} "
                f"for over {worker.spent:.0f} s; look at that sample and at the disk or network it comes from, or "
                f"raise data.timeout ({self.timeout:g} s); with -o data.workers=0 it is read in this process"
            )

    def _death(self, worker):
        worker.process.join(10)
        code = worker.process.exitcode
        how = f"was killed by {signal.Signals(-code).name}" if code and code < 0 else f"ended with exit code {code}"
        return DataError(
            f"{self.name}: loader worker {worker.number} (pid {worker.process.pid}) {how} {self._place(worker)} "
            "(out of memory, a crash in a decoder, or a script without `if __name__ == '__main__':`); "
            "look at that sample, or run again with -o data.workers=0 to see it in this process"
        )

    def _place(self, worker):
        if not worker.started:
            return "starting"
        position = int(self.progress.array.view(np.int64)[worker.number])
        return f"on sample {self._named(position)}" if position >= 0 else "between samples"

    def _named(self, position):
        """The place of a sample; its row where the source does not say within seconds: its disk may hang here too."""
        found = queue.SimpleQueue()
        threading.Thread(target=lambda: found.put(self.describe(position)), daemon=True).start()
        try:
            return found.get(timeout=NAMING_SECONDS)
        except queue.Empty:
            return f"{self.name}, row {position + 1}"


def end_all(workers: Iterable[Worker]) -> None:
    """Kill the processes and wait for them."""
    for worker in workers:
        worker.process.kill()
    for worker in workers:
        worker.process.join()


@contextlib.contextmanager
def quiet_start() -> Iterator[None]:
    """Processes started in here have SIGINT and SIGTERM blocked from birth; here, both arrive afterwards."""
    resource_tracker.ensure_running()  # it would take the block away when it starts
    before = signal.pthread_sigmask(signal.SIG_BLOCK, QUIET)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

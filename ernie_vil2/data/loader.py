"""Batches in an order that depends on (seed, epoch) alone, made ahead of the step by worker processes."""

import collections
import ctypes
import multiprocessing
import os
import signal
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

from ..errors import ConfigError, DataError
from ..keys import generator


class Order:
    """Which samples are in global batch `step`: slice k of the epoch's permutation, the short last slice left out."""

    def __init__(self, size, batch_size, seed):
        if size < batch_size:
            raise ConfigError(
                f"the training source has {size} samples but train.batch_size is {batch_size}; lower the batch size"
            )
        self.size, self.batch_size, self.seed = size, batch_size, seed
        self.batches_per_epoch = size // batch_size
        self._epoch, self._permutation = None, None

    def batch(self, step):
        """(epoch, int64 [batch_size] positions) of the batch of 0-based `step`."""
        epoch, slot = divmod(step, self.batches_per_epoch)
        if epoch != self._epoch:
            self._permutation = generator(self.seed, epoch, "order").permutation(self.size)
            self._epoch = epoch
        return epoch, self._permutation[slot * self.batch_size : (slot + 1) * self.batch_size]


class BatchMaker:
    """Makes the Batch of given positions: (Batch, [DataError]); broken samples are replaced by the next good row."""

    def __init__(self, source, maker):
        self.source, self.maker = source, maker

    def __call__(self, epoch, positions):
        bad = []
        views = [self._views(epoch, int(position), bad) for position in positions]
        return self.maker.collate(views), bad

    def _views(self, epoch, position, bad):
        for shift in range(len(self.source)):
            index = (position + shift) % len(self.source)
            try:
                return self.maker.make(self.source[index], epoch, index)
            except DataError as error:
                bad.append(DataError(str(error)))
        raise DataError(
            f"{self.source.name}: not one of its {len(self.source)} samples can be read; the last error was: {bad[-1]}"
        )


_make = None


def start_worker(make):
    """Set up a worker process: it computes on one thread and ends with its parent, not with Ctrl-C."""
    global _make
    _make = make
    import cv2

    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.platform.startswith("linux"):
        parent_death_signal = 1
        ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)


def make_in_worker(epoch, positions):
    """The batch of a job, in a worker process."""
    return _make(epoch, positions)


class Loader:
    """Iterates over `(Batch, bad)` from `start` to `steps`; `bad` lists the DataErrors met while it was made.

    More than `max_bad` of the samples read so far (and at least 10) broken raises DataError. workers: processes, which
    never import Paddle; 0 makes each batch when it is asked for. The batches are the same whatever the workers.
    """

    def __init__(self, source, maker, order, steps, start=0, workers=1, max_bad=0.01):
        self.source, self.make, self.order = source, BatchMaker(source, maker), order
        self.steps, self.start, self.workers, self.max_bad = steps, start, workers, max_bad
        self.seen, self.broken = 0, set()

    def __len__(self):
        return self.steps - self.start

    def __iter__(self):
        jobs = (self.order.batch(step) for step in range(self.start, self.steps))
        if not self.workers:
            for job in jobs:
                yield self._checked(self.make(*job))
            return
        context = multiprocessing.get_context("spawn")
        pool = ProcessPoolExecutor(self.workers, context, start_worker, (self.make,))
        pending = collections.deque()
        try:
            for job in jobs:
                pending.append(pool.submit(make_in_worker, *job))
                if len(pending) > 2 * self.workers:
                    yield self._checked(pending.popleft().result())
            while pending:
                yield self._checked(pending.popleft().result())
        except BrokenProcessPool:
            raise DataError(
                f"{self.source.name}: a loader process of {os.getpid()} died (killed, out of memory, a "
                "crash in a decoder, or a script without `if __name__ == '__main__':`); "
                "run again with -o data.workers=0 to see it in this process"
            ) from None
        finally:
            pool.shutdown(wait=True, cancel_futures=True)

    def _checked(self, result):
        batch, bad = result
        self.seen += len(batch) + len(bad)
        self.broken.update(map(str, bad))
        read = min(self.seen, len(self.source))
        if len(self.broken) >= 10 and len(self.broken) > self.max_bad * read:
            last = bad[-1] if bad else "see bad.txt in the output folder"
            raise DataError(
                f"{self.source.name}: {len(self.broken)} of {read} samples are broken, more than data.max_bad "
                f"{self.max_bad:g}; the last one: {last}; check the file with tools/data.py check"
            )
        return batch, bad

"""Batches in the order of `order.py`, made ahead of the step by worker processes, broken samples counted."""

import math

import numpy as np

from ...errors import DataError
from ...waiting import Reminder, told
from ..sources.base import RowError, Source
from ..sources.usable import read_row
from .order import Order
from .row_counts import RowCounts
from .shared_memory import open_ring
from .views import ViewMaker, join
from .workers import Crew

__all__ = ["BatchMaker", "Loader", "Order"]

CHUNK = 32
"""Samples that a worker makes at a time, at most: a large batch is divided over all workers."""
BATCHES_AHEAD = 2
IN_USE = 2
"""Batches in the hands of the trainer: the one that it works on, and while it asks for the next that one too."""


class BatchMaker:
    """Makes the Batch of given positions: (Batch, [DataError]); a broken sample is replaced by the next good row.

    Each position that is itself broken gives one error, with `.cause` (a fixed name to count by) and `.where`.
    """

    def __init__(self, source: Source, maker: ViewMaker):
        self.source, self.maker = source, maker

    def __call__(self, epoch, positions, into=None, offset=0, current=None):
        """into: {view: array} whose rows from `offset` take the pixels instead of the Batch; current: an array
        whose first element is kept at the position being read."""
        views, bad = [], []
        for place, position in enumerate(positions, offset):
            made = self._views(epoch, int(position), bad, current)
            for view in into or ():
                into[view][place] = made.pixels.pop(view)
            views.append(made)
        return self.maker.collate(views), bad

    def _views(self, epoch, position, bad, current):
        count, last = len(self.source), None
        for index in range(position, position + count):
            index %= count
            if current is not None:
                current[0] = index
            try:
                return self.maker.make(read_row(self.source, index), epoch, index)
            except RowError as error:
                last = error
                if index == position:
                    bad.append(self._noted(error, index))
        raise DataError(f"{self.source.name}: not one of its {count} samples can be read; the last error was: {last}")

    def _noted(self, error, index):
        noted = DataError(str(error))
        noted.cause, noted.where, noted.index = error.cause, self.source.where(index), index
        return noted


class Loader:
    """Iterates over `(Batch, bad)` of the global batches `start` to `steps`; `bad` lists the DataErrors of bad rows
    that were not met before.

    part: the slice of each global batch that is made here, for a rank of several. workers: processes, which never
    import Paddle; 0 makes each batch when it is asked for. What a batch holds depends on neither. Workers write pixels
    into shared memory, at most 2 whole batches ahead or two chunks for each worker. A batch is that memory, which is
    used again when nothing refers to the batch any more; a batch that is kept is copied as soon as room runs short.
    Where /dev/shm has no room for a batch, pixels go through pipes, and `note` says so. shared_bytes: most of it to
    take, None for half of what is free.

    Raises DataError when over `max_bad` of the different rows read so far (and at least 10) are bad, when a
    worker takes over `timeout` seconds for a chunk, and when one dies. `counts` has the rows that were bad, by cause.
    `close()`, or the end of the iteration, ends the workers at once.
    """

    def __init__(
        self,
        source: Source,
        maker: ViewMaker,
        order: Order,
        steps: int,
        start: int = 0,
        workers: int = 1,
        max_bad: float = 0.01,
        part: slice = slice(None),
        timeout: float = 300.0,
        shared_bytes: float | None = None,
    ):
        self.source, self.maker, self.order, self.steps, self.start = source, maker, order, steps, start
        self.workers, self.max_bad, self.part, self.timeout = workers, max_bad, part, timeout
        self.shared_bytes = shared_bytes
        self.counts, self.note = RowCounts(len(source)), ""
        self._crew = None

    def __len__(self):
        return self.steps - self.start

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers, while there are any."""
        return [worker.process.pid for worker in self._crew.workers] if self._crew is not None else []

    def close(self) -> None:
        """End the workers, if there are any; the batches that they were making are dropped."""
        crew, self._crew = self._crew, None
        if crew is not None:
            crew.close()

    def __iter__(self):
        make = BatchMaker(self.source, self.maker)
        batches = self._from_workers(make) if self.workers else self._from_here(make)
        for step, (batch, bad) in zip(self._steps(), batches, strict=True):
            yield batch, self._counted(step, bad)

    def _steps(self):
        return range(self.start, self.steps)

    def _job(self, step):
        epoch, positions = self.order.batch(step)
        return epoch, positions[self.part]

    def _from_here(self, make):
        current, reminder = np.array([-1]), Reminder()

        def sentence(seconds):
            place = self.source.where(int(current[0])) if current[0] >= 0 else "its first sample"
            return f"{self.source.name}: waiting for a batch for {seconds:.0f} s; this process reads {place}"

        for step in self._steps():
            with told(sentence, reminder):
                made = make(*self._job(step), current=current)
            yield made

    def _from_workers(self, make):
        count = len(range(self.order.batch_size)[self.part])
        chunk = max(1, min(CHUNK, math.ceil(count / self.workers)))
        chunks = range(0, count, chunk)
        ahead = max(BATCHES_AHEAD, math.ceil(2 * self.workers / len(chunks)))
        shapes, dtype = self.maker.pixel_shapes(count), self.maker.pixel_type
        ring, self.note = open_ring(shapes, ahead + IN_USE, self.shared_bytes, dtype)
        self.close()
        crew = self._crew = Crew(make, self.workers, ring, self.timeout, self.source.name, self.source.where)
        if ring is not None:
            ring.memory.release()
        pieces, slots, coming = {}, {}, iter(self._steps())

        def begin():
            """Have further batches made: `ahead` of them, as long as there are slots for them."""
            while len(pieces) < ahead and (ring is None or ring.free):
                step = next(coming, None)
                if step is None:
                    return
                pieces[step], slots[step] = {}, ring.free.popleft() if ring is not None else None
                epoch, positions = self._job(step)
                for offset in chunks:
                    crew.submit((step, offset), slots[step], offset, epoch, positions[offset : offset + chunk])

        try:
            for step in self._steps():
                begin()
                while len(pieces[step]) < len(chunks):
                    (owner, offset), result = crew.take()
                    pieces[owner][offset] = result
                made, slot = pieces.pop(step), slots.pop(step)
                batch = join([made[offset][0] for offset in chunks])
                if ring is not None:
                    batch.pixels = ring.lend(slot)
                begin()
                yield batch, [error for offset in chunks for error in made[offset][1]]
                del batch, made
        finally:
            if self._crew is crew:
                self._crew = None
            crew.close()

    def _counted(self, step, bad):
        """The errors of rows that are bad for the first time; DataError when those are too many."""
        counts = self.counts
        counts.draw(self._job(step)[1])
        new = counts.replace(bad)
        if new and counts.too_many(self.max_bad):
            causes = ", ".join(f"{count} {cause}" for cause, count in counts.causes.most_common())
            raise DataError(
                f"{self.source.name}: {counts.bad} of {counts.seen} samples are broken ({causes}), more than "
                f"data.max_bad {self.max_bad:g}; the last ones are {', '.join(counts.last)}; the last says: {new[-1]}; "
                "check the file with ernie-vil2 data check"
            )
        return new

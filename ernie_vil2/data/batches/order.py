"""The global order of samples: a function of (seed, epoch) alone, entered anywhere without walking to it."""

from collections.abc import Sequence

import numpy as np

from ...errors import ConfigError
from ...keys import generator

KEPT_WINDOWS = 2


class Order:
    """Which samples are in global batch `step`, counted from `start`; ranks and workers divide a batch, not the order.

    A source of at most `window` samples has one permutation of everything per epoch. A larger one is shuffled by shard
    and window: its shards, those over a window cut into pieces of one, are permuted and laid end to end, this stream is
    cut into windows of `window` samples, and each window is permuted. Memory is O(window + shards), and a batch costs
    the permutation of the window it lies in, however many steps went before. An epoch drops the short tail that does
    not fill a batch.

    sizes: number of samples, or those of each shard (Source.shard_sizes); start: (epoch, offset in samples) as
    `position` gave it, with this or another batch size. Raises ConfigError when there is less than one batch, or
    when `start` is outside the source.
    """

    def __init__(
        self,
        sizes: int | Sequence[int] | np.ndarray,
        batch_size: int,
        seed: int,
        window: int = 131072,
        start: Sequence[int] = (0, 0),
    ):
        sizes = np.atleast_1d(np.asarray(sizes, np.int64))
        self.size, self.batch_size, self.seed, self.window = int(sizes.sum()), batch_size, seed, window
        if self.size < batch_size:
            raise ConfigError(
                f"the training source has {self.size} samples but train.batch_size is {batch_size}; "
                "lower the batch size"
            )
        if len(start) != 2 or start[0] < 0 or not 0 <= start[1] <= self.size:
            raise ConfigError(
                f"the run stopped at (epoch, sample) {tuple(start)}, which is outside the training source of "
                f"{self.size} samples; train on the source that it began with"
            )
        self.start = tuple(map(int, start))
        self.batches_per_epoch = self.size // batch_size
        self.first_batches = (self.size - self.start[1]) // batch_size
        self._pieces = pieces(sizes, window) if self.size > window else None
        self._stream, self._windows = None, {}

    def position(self, step: int) -> tuple[int, int]:
        """(epoch, offset in samples) where the batch of 0-based `step` begins."""
        epoch, offset = self.start
        if step < self.first_batches:
            return epoch, offset + step * self.batch_size
        later, slot = divmod(step - self.first_batches, self.batches_per_epoch)
        return epoch + 1 + later, slot * self.batch_size

    def batch(self, step: int) -> tuple[int, np.ndarray]:
        """(epoch, int64 [batch_size] positions in the source) of the batch of 0-based `step`."""
        epoch, offset = self.position(step)
        width = self.size if self._pieces is None else self.window
        parts, stop = [], offset + self.batch_size
        while offset < stop:
            number, inside = divmod(offset, width)
            end = min(width, inside + stop - offset)
            parts.append(self._shuffled(epoch, number)[inside:end])
            offset += end - inside
        return epoch, np.concatenate(parts)

    def _shuffled(self, epoch, number):
        """The source positions of a window in their order; the last windows asked for are kept."""
        key = epoch, number
        if key not in self._windows:
            while len(self._windows) >= KEPT_WINDOWS:
                del self._windows[next(iter(self._windows))]
            self._windows[key] = self._permuted(epoch, number)
        return self._windows[key]

    def _permuted(self, epoch, number):
        if self._pieces is None:
            return generator(self.seed, epoch, "order").permutation(self.size)
        if self._stream is None or self._stream[0] != epoch:
            begins, sizes = self._pieces
            shuffle = generator(self.seed, epoch, "shards").permutation(len(sizes))
            self._stream = epoch, begins[shuffle], np.cumsum(sizes[shuffle])
        _, begins, ends = self._stream
        first = number * self.window
        places = first + generator(self.seed, epoch, "window", number).permutation(min(self.window, self.size - first))
        shard = np.searchsorted(ends, places, side="right")
        return places - ends[shard] + begins[shard] + np.diff(ends, prepend=0)[shard]


def pieces(sizes: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """(begins, sizes) of contiguous pieces of the source: its shards in turn, those over `longest` samples cut up."""
    counts = -(-sizes // longest)
    within = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    begins = np.repeat(np.cumsum(sizes) - sizes, counts) + within * longest
    return begins, np.minimum(np.repeat(sizes, counts) - within * longest, longest)

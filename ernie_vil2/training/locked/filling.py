"""Before the first step: every picture that the run will draw gets its embedding, unless the folder has it already.

On a CPU each picture is encoded by itself on one thread, and pictures side by side, so its embedding depends on nothing
but the picture and the weights: not on who is encoded with it, how many threads or ranks there are, or whether the work
was interrupted. On a card whole batches are encoded, which are equal to rounding.
"""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...config.run import RunConfig
from ...data.batches.image_embeddings import ImageEmbeddings, row_bytes
from ...data.batches.order import Order
from ...data.batches.views import ViewMaker
from ...data.sources.base import Source
from ...data.sources.pictures import content_digest
from ...data.sources.usable import read_row
from ...errors import ConfigError, DataError, UserError, exhausted
from ...files.paths.place import check_folder
from ...messages import counted
from ...threads import ordered_map, thread_count
from ..distributed import Ranks
from ..log.run_log import RunLog, SilentLog, duration
from ..optimization.freeze import check_locked
from ..rig import Rig
from ..validation import attempt, share_of
from .tower import GPU_ROWS, LockedTower, tower_key

FOLDER = "image_embeddings"
BLOCK_ROWS, BLOCK_SECONDS = 8192, 30.0
"""Pictures, and seconds of work, after which a block is written: what a kill may lose"""
TOLD_SECONDS = 60.0
PAUSES = (0.0, 1.0, 4.0, 15.0, 45.0)
"""Seconds before each look at what all ranks wrote: a network's disk shows it late, and other runs write there too"""


class Read(NamedTuple):
    """A row that was looked at: crop is None where its picture has an embedding or gets one, or where it is bad."""

    row: int
    digest: str = ""
    crop: np.ndarray | None = None
    bad: bool = False


def drawn_rows(order: Order, steps: int) -> np.ndarray:
    """Sorted positions of the source that `steps` batches from the first of the order draw, or of all of it where they
    go through it as a whole."""
    if steps * order.batch_size >= order.size:
        return np.arange(order.size)
    return np.unique(np.concatenate([order.batch(step)[1] for step in range(steps)]))


def cache_folder(config: RunConfig) -> Path:
    """Where embeddings are kept, those of all towers."""
    return Path(config.data.cache_folder or Path(config.output).absolute().parent / FOLDER)


class LockedImages:
    """The embeddings of the pictures of a run, and what makes those that are missing.

    Raises ConfigError where the image tower learns, or where the copy that encodes keys for a queue has another one.
    """

    def __init__(self, config: RunConfig, rig: Rig, maker: ViewMaker, source: Source, ranks: Ranks) -> None:
        check_locked(rig.model, rig.freezer)
        self.model, self.maker, self.source, self.ranks = rig.model, maker, source, ranks
        key = tower_key(rig.model, config)
        if rig.momentum is not None and tower_key(rig.momentum.system.model, config) != key:
            raise ConfigError(
                "data.cache_locked keeps embeddings of one image tower, but the copy that encodes keys for the queue "
                "has another one; set cache_locked: false"
            )
        self.tower, width = LockedTower(rig.model, config), config.model.embed_dims()[0]
        if ranks.main:
            check_folder(cache_folder(config))
        self.kept = ImageEmbeddings(cache_folder(config) / key, width)

    def fill(self, rows: np.ndarray, log: RunLog | SilentLog, stop: Callable[[], bool]) -> bool:
        """Encode what is missing of `rows`, this rank its part of them, and let the maker take images from here; False
        where `stop()` came first, on all ranks. Raises UserError, on all ranks, where one could not."""
        damaged = self.kept.remove_damaged() if self.ranks.main else []
        self.ranks.wait()
        self.kept.read()
        if damaged:
            files = counted(len(damaged), "damaged file")
            log.say(f"note: {self.kept.folder}: {files} removed, what was in there is encoded again")
        share = share_of(len(rows), self.ranks.rank, self.ranks.size)
        self.model.eval()
        _, fault = attempt(lambda: self._encode(rows, share, log, stop))
        self.model.train()
        self.ranks.wait()
        if any(self.ranks.any(fault is not None)):
            raise fault or UserError("another rank could not encode its part of the images, its log says why")
        if any(self.ranks.any(stop())):
            return False
        if not self._agreed():
            raise UserError(
                f"{self.kept.folder} is not the same folder to all ranks; set data.cache_folder to one on a disk that "
                "their machines share"
            )
        self.maker.kept = self.kept
        log.say(f"image embeddings: {len(self.kept):,} in {self.kept.folder}, images are not decoded or encoded again")
        return True

    def _agreed(self) -> bool:
        """Whether all ranks find the same images, once what each has written is there for all."""
        for pause in PAUSES if self.ranks.size > 1 else PAUSES[:1]:
            time.sleep(pause)
            self.kept.read()
            self.ranks.wait()
            mark = self.kept.mark
            if not any(self.ranks.any(self.ranks.sum([mark])[0] != mark * self.ranks.size)):
                return True
        return False

    def _encode(self, rows: np.ndarray, share: range, log: RunLog | SilentLog, stop: Callable[[], bool]) -> None:
        """Encode what is missing of this rank's share of some rows."""
        self._check_room(len(rows), log)
        waiting: dict[str, np.ndarray] = {}
        count, began = 0, time.monotonic()
        written = told = began
        for digest, embedding in self._missing(rows[share.start : share.stop], stop):
            waiting[digest] = embedding
            count, now = count + 1, time.monotonic()
            if len(waiting) >= BLOCK_ROWS or now - written > BLOCK_SECONDS:
                self.kept.write(list(waiting), list(waiting.values()))
                written, waiting = now, {}
            if now - told > TOLD_SECONDS:
                told = now
                log.say(f"image embeddings: {counted(count, 'image')} encoded in {duration(now - began)} (h:mm:ss)")
        if waiting:
            self.kept.write(list(waiting), list(waiting.values()))

    def _check_room(self, count: int, log: RunLog | SilentLog) -> None:
        """Tell how much the disk must take at most, for all ranks; UserError where it has not as much. With some there
        already nobody knows how many are missing before all are looked at."""
        new = count * row_bytes(self.kept.width)
        folder = next(path for path in self.kept.folder.absolute().parents if path.is_dir())
        status = os.statvfs(folder)
        free = status.f_bavail * status.f_frsize
        if new > free and not len(self.kept):
            raise UserError(
                f"embeddings of {count:,} images need {new / 2**20:,.1f} MB, and {folder} has {free / 2**20:,.1f} MB; "
                "make room, or set data.cache_folder to a folder on another disk"
            )
        if self.ranks.main:
            log.say(
                f"image embeddings: {counted(count, 'image')} to look at, at most {new / 2**20:,.1f} MB in {folder}"
            )

    def _missing(self, rows: np.ndarray, stop: Callable[[], bool]) -> Iterator[tuple[str, np.ndarray]]:
        """(digest, embedding) of pictures that have none. In place of a bad row training takes the next good one, so
        that is needed too; of rows that share a picture, one has it encoded."""
        done, made, waiting = set(), {}, rows.tolist()
        while waiting:
            done.update(waiting)
            bad: list[int] = []
            yield from self.tower.encode_each(self._good(waiting, made, bad, stop))
            following = {(row + 1) % len(self.source) for row in bad}
            waiting = sorted(following - done)

    def _good(
        self, rows: Iterable[int], made: dict[str, int], bad: list[int], stop: Callable[[], bool]
    ) -> Iterator[tuple]:
        """(digest, crop) of what must be encoded, decoded by threads; `made` gets {digest: its row}, `bad`
        the rows that cannot be used."""
        for read in ordered_map(partial(self._read, made=made), rows, thread_count(), ahead=2 * GPU_ROWS):
            if stop():
                return
            if read.bad:
                bad.append(read.row)
            elif read.crop is not None:
                yield read.digest, read.crop

    def _read(self, row: int, made: dict[str, int]) -> Read:
        try:
            sample = read_row(self.source, row)
            digest = content_digest(sample)
            if digest in made or self.kept.find(digest) is not None:
                return Read(row, digest)
            crop = self.maker.make(sample, 0, row).pixels["image"]
            return Read(row, digest, crop if made.setdefault(digest, row) == row else None)
        except DataError as error:
            if exhausted(error):
                raise
            return Read(row, bad=True)

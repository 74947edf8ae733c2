"""A video against the index: a row a frame, all of them or none; one that moved keeps its rows."""

import os
from dataclasses import replace

import numpy as np

from ....data.sources.videos.source import DEFAULT, wanted_frames
from ....data.videos.frames import chosen
from ....data.videos.reader import VideoReader, seconds_text
from ....errors import DataError
from ...store.columns import ImageRow
from ..encoder import Encoder
from ..ledger import DOUBTFUL, LOOSE, Ledger
from ..run import Run
from .content import CHANGING, Item, fault_of, file_row
from .listing import READING, open_below

BATCH_FRAMES, BATCH_BYTES = 16, 64 << 20
"""Frames that are encoded together, and the bytes of their pixels"""
Rows = dict[int, ImageRow]
CHANGED = DataError(f"{CHANGING}; it is tried again by the next update")
CHANGED.cause = CHANGING


class VideoScan:
    """What becomes of the videos of a folder. number: of its root; frames: as of a source of videos."""

    def __init__(self, ledger: Ledger, number: int, encoder: Encoder, run: Run, frames: str = ""):
        self.ledger, self.number, self.encoder, self.run = ledger, number, encoder, run
        self.wanted = wanted_frames(frames or DEFAULT)

    def settle(self, item: Item, root: int, follow: bool) -> None:
        """Find the rows of a video, or make them of its frames."""
        ledger = self.ledger
        groups = self._groups(ledger.of(item.content.digest).tolist())
        own = set(item.own)
        for what, fits in (
            ("touched", lambda ids: own and own >= set(ids)),
            ("moved", lambda ids: len(ledger.in_state(ids, LOOSE)) == len(ids)),
            ("moved", lambda ids: len(ledger.in_state(ids, DOUBTFUL)) == len(ids)),
        ):
            for rows in groups:
                if fits(rows):
                    ledger.counts[what] += 1
                    ledger.change(list(rows), self._moved(item, rows))
                    if what == "moved":
                        ledger.replace(item.own)
                    return
        ledger.replace(item.own)
        if groups:
            rows = groups[0]
            self._add(item, self._moved(item, rows), ledger.vectors_of(list(rows)))
        else:
            self._encode(item, root, follow)

    def _groups(self, ids):
        """Rows of a content, video by video, of places that take the same frames."""
        groups: dict[tuple[int, bytes], Rows] = {}
        for number, row in self.ledger.rows_of(ids).items():
            if row.root == self.number and row.time is not None:
                groups.setdefault((row.root, row.path), {})[number] = row
        return list(groups.values())

    def _moved(self, item, rows):
        """The rows of a video under the path of another file."""
        return [self._row(item, row.time, row.width, row.height) for row in rows.values()]

    def _row(self, item, time, width, height):
        row = file_row(self.number, item.key, item.path, item.content, time)
        return replace(row, key=f"{item.key}@{seconds_text(time)}", width=width, height=height)

    def _add(self, item, rows, vectors):
        if rows:
            self.ledger.add(rows, vectors)
            self.ledger.counts["edited" if item.own else "new"] += 1
            self.ledger.counts["frames"] += len(rows)

    def _encode(self, item, root, follow):
        """Encode the frames of a video; one that cannot be decoded is left out, and is a fault of the video."""
        file, content = open_below(root, item.path, READING | (0 if follow else os.O_NOFOLLOW)), item.content
        name, errors, rows, vectors = f"/proc/self/fd/{file}", [], [], []
        try:
            for those, encoded in self._frames(item, name, errors):
                rows += those
                vectors.append(encoded)
            status = os.fstat(file)
            if (status.st_size, status.st_mtime_ns) != (content.size, content.mtime):
                rows, errors = [], [CHANGED]
        except DataError as error:
            rows, errors = [], [error]
        finally:
            os.close(file)
        if errors:
            told = DataError(str(errors[0]).removeprefix(f"{name}: "))
            told.cause = getattr(errors[0], "cause", "broken video")
            fault = fault_of(self.number, item.path, told, content.size, content.mtime)
            self.ledger.fail(replace(fault, again=told.cause == CHANGING))
        self._add(item, rows, np.concatenate(vectors) if rows else None)

    def _frames(self, item, name, errors):
        """Yield (rows, vectors [n, D]) of frames that can be decoded; of the others the errors."""
        times, stamp = chosen(name, self.wanted, self.encoder.limits)
        reader, waiting = VideoReader(name, stamp, self.encoder.limits), []
        try:
            for time in times.tolist():
                try:
                    waiting.append((time, reader.frame(time)))
                except DataError as error:
                    errors.append(error)
                if len(waiting) == BATCH_FRAMES or sum(pixels.nbytes for _, pixels in waiting) >= BATCH_BYTES:
                    yield self._encoded(item, waiting, errors)
                    waiting = []
                self.run.check()
            if waiting:
                yield self._encoded(item, waiting, errors)
        finally:
            reader.close()

    def _encoded(self, item, frames, errors):
        """(rows, vectors [n, D]) of some (time, pixels)."""
        vectors, failures = self.encoder.images([pixels for _, pixels in frames])
        for failure in failures.values():
            errors.append(DataError(failure.reason))
            errors[-1].cause = failure.cause
        good = [position for position in range(len(frames)) if position not in failures]
        shapes = [(frames[position][0], *frames[position][1].shape[1::-1]) for position in good]
        return [self._row(item, *shape) for shape in shapes], vectors[good]

"""A source with captions against the index: a row a picture, whose texts are rows of their own."""

import contextlib
import os
from array import array
from dataclasses import replace
from itertools import islice

import numpy as np

from ...data.sources.base import RowError, Sample, Source
from ...data.sources.pictures import CLASH, path_of
from ...data.sources.usable import read_row
from ...errors import DataError
from ...files.paths.names import name_text
from ...threads import ordered_map
from ..store.columns import ImageRow
from .encoder import Encoder, Failure
from .fault import Fault
from .folder.content import Content, content_of_bytes, content_of_pixels, fault_of, file_row, read_picture
from .folder.listing import opened_folder
from .known import KnownKeys
from .ledger import DOUBTFUL, Ledger
from .removal import LeftOut, never
from .run import Run
from .text_rows import TextRows

WINDOW = 64
"""Rows that are encoded together; as many again are read ahead"""
BLOCK = 4096
"""Rows whose texts are compared together"""
Read = tuple[Sample, Content]


class SourceScan:
    """One scan of a source. number: of its root; texts: whether captions and tags get vectors; left_out: whether
    an id is passed over.

    All rows are walked through. A file that has not changed is not read, a picture whose bytes the index has is not
    encoded, and rows whose id is not there any more are gone.
    """

    def __init__(self, ledger: Ledger, number: int, source: Source, texts: bool = True, left_out: LeftOut = never):
        self.ledger, self.number, self.source, self.left_out = ledger, number, source, left_out
        self.known = KnownKeys(ledger.writer.snapshot.images, number)
        self.bound = len(ledger.states)
        self.here = bytearray(self.bound)
        self.tops = sorted(os.path.abspath(folder) for folder in source.folders() if folder is not None)
        self.texts = TextRows(ledger) if texts else None
        self.images, self.of_image = array("q"), array("q")
        """Ids of pictures, and the id of a text of each, in the order of the rows"""
        self.failed = {fault.path: fault for fault in ledger.faults.of_root(number) if fault.digest}
        ledger.faults.forget(number)

    def amount(self) -> tuple[int, int]:
        """(rows, 0): how large their pictures are is not known before they are read."""
        return len(self.source), 0

    def run(self, encoder: Encoder, run: Run) -> None:
        """Walk through all rows, and encode what nothing is known of."""
        with opened_folder(os.sep) as top:

            def read(index: int) -> Read | Fault:
                return self._read(index, top, encoder)

            rows = ordered_map(read, range(len(self.source)), workers=2, ahead=WINDOW)
            while window := list(islice(rows, WINDOW)):
                for fault in window:
                    if isinstance(fault, Fault):
                        self.ledger.fail(fault)
                good = [found for found in window if not isinstance(found, Fault)]
                self.settle([found for found in good if not self.left_out(found[0].id)], encoder)
                run.step(len(window), 0)
        self._end()

    def _read(self, index, top, encoder):
        """A row with its picture's content, or its Fault."""
        try:
            sample = read_row(self.source, index)
            if isinstance(sample.image, np.ndarray):
                return sample, content_of_pixels(sample.image)
            if not path_of(sample):
                return sample, content_of_bytes(bytes(sample.image))
            content = self._content(sample, top, encoder)
            if isinstance(content, Fault):
                return replace(content, path=os.fsencode(sample.where), again=True)
            return sample, content
        except DataError as error:
            if isinstance(error, RowError):
                told = DataError(f"{error.reason}; {error.fix}")
                told.cause, error = error.cause, told
            return replace(fault_of(self.number, os.fsencode(self.source.where(index)), error), again=True)

    def _content(self, sample, top, encoder):
        """The content of a file; of one that the index has as it is, without a picture and a digest."""
        path = os.path.abspath(path_of(sample))
        with contextlib.suppress(OSError):  # which reading it tells of
            status = os.stat(path)
            if self.known.has(sample.id, os.fsencode(path), status.st_size, status.st_mtime_ns):
                return Content(None, b"", status.st_size, status.st_mtime_ns)
        return read_picture(top, self.number, os.fsencode(path)[1:], encoder.limits, follow=True)

    def settle(self, window: list[Read], encoder: Encoder) -> None:
        """Find or make the rows of pictures and texts that were read together."""
        ledger, new = self.ledger, {}
        texts, bad = self.texts.ids_of([sample for sample, _ in window], encoder) if self.texts else ({}, {})
        ids = [self.known.id_of(sample.id) for sample, _ in window]
        rows = ledger.rows_of([number for number in ids if number is not None])
        for place, (sample, content) in enumerate(window):
            number, own = ids[place], texts.get(place, [])
            if place in bad:
                self._fail(sample, bad[place])
            elif number is None and self._failed_before(sample, content):
                self.ledger.fail(self.failed[os.fsencode(sample.where)])
            elif number is None:
                new.setdefault(sample.id, []).append((sample, content, own))
            elif content.picture is None or content.digest == rows[number].digest:
                self._see(number, rows[number], sample, content, own)
            elif number >= self.bound or self.here[number]:
                self._fail(sample, clash(sample))
            else:  # the picture of the id is another one now
                ledger.mark([number], DOUBTFUL)
                ledger.replace([number])
                self.here[number] = True
                new.setdefault(sample.id, []).append((sample, content, own))
        self._add(new, encoder)

    def _failed_before(self, sample, content):
        before = self.failed.get(os.fsencode(sample.where))
        return before is not None and before.digest == content.digest.hex()

    def _see(self, number, row, sample, content, own):
        """Note that a row of the index is in the source, with these texts, and where its file lies now."""
        if number < self.bound and not self.here[number]:
            self.here[number] = True
            read = content.facts() if content.picture is not None else {}  # of a file that was not read, size and time
            seen = replace(row, **self._place(sample), **dict(zip(FACTS, facts_of(sample), strict=True)), **read)
            self.ledger.counts["same" if seen.path == row.path else "moved"] += 1
            if seen != row:
                self.ledger.change([number], [seen])
        self.images.extend([number] * len(own))
        self.of_image.extend(own)

    def _add(self, new, encoder):
        """Make rows of ids that the index does not have; the first row of an id says what its picture is."""
        ledger, copied, fresh = self.ledger, [], {}
        for rows in new.values():
            ids = ledger.of(rows[0][1].digest)
            if len(ids):
                copied.append((int(ids[0]), rows))
            else:
                fresh.setdefault(rows[0][1].digest, []).append(rows)
        added, vectors = [rows for _, rows in copied], []
        if copied:
            vectors.append(ledger.vectors_of([number for number, _ in copied]))
        if fresh:
            encoded, failures = encoder.images([groups[0][0][1].picture for groups in fresh.values()])
            for position, groups in enumerate(fresh.values()):
                if position in failures:
                    for sample, content, _ in (row for rows in groups for row in rows):
                        self._fail(sample, failures[position], content.digest.hex())
                else:
                    added += groups
                    vectors.append(np.repeat(encoded[position][None], len(groups), axis=0))
        made = [self._row(*rows[0]) for rows in added]
        numbers = ledger.add(made, np.concatenate(vectors)) if made else []
        ledger.counts.update(new=len(made), encoded=len(fresh))
        for number, rows in zip(numbers, added, strict=True):
            self.known.add(rows[0][0].id, number)
            for sample, content, own in rows:
                if content.digest != rows[0][1].digest:
                    self._fail(sample, clash(sample))
                    continue
                self.images.extend([number] * len(own))
                self.of_image.extend(own)

    def _row(self, sample, content, own) -> ImageRow:
        caption, tags = facts_of(sample)
        row = file_row(self.number, sample.id, b"", content)
        return replace(row, **self._place(sample), caption=caption, tags=tags, texts=tuple(dict.fromkeys(own)))

    def _place(self, sample):
        """{path, folder} of a row: the folder is that of its id, or of its file where the id has none."""
        if not path_of(sample):
            return {"path": b"", "folder": ""}
        path, folder = os.path.abspath(path_of(sample)), os.path.dirname(sample.id)
        if not folder:
            inside = (os.path.relpath(path, top) for top in self.tops if path.startswith(os.path.join(top, "")))
            folder = os.path.dirname(min(inside, key=len, default=""))
        return {"path": os.fsencode(path), "folder": name_text(folder)}

    def _fail(self, sample, failure, digest=""):
        place = os.fsencode(sample.where)
        self.ledger.fail(Fault(self.number, place, 0, 0, failure.cause, failure.reason, True, digest))

    def _end(self) -> None:
        """Give every picture the texts of all of its rows, and take out those that no row has."""
        if self.texts:
            images, texts = np.array(self.images, np.int64), np.array(self.of_image, np.int64)
            order = np.argsort(images, kind="stable")
            numbers, starts = np.unique(images[order], return_index=True)
            lists = np.split(texts[order], starts[1:])
            for first in range(0, len(numbers), BLOCK):
                self._compare(numbers[first : first + BLOCK].tolist(), lists[first : first + BLOCK])
        gone = [number for number in self.known.ids.tolist() if not self.here[number]]
        self.ledger.remove(gone)
        self.ledger.counts["gone"] += len(gone)

    def _compare(self, numbers, lists):
        rows, changed = self.ledger.rows_of(numbers), []
        for number, texts in zip(numbers, lists, strict=True):
            wanted = tuple(dict.fromkeys(texts.tolist()))
            if rows[number].texts != wanted:
                changed.append((number, replace(rows[number], texts=wanted)))
        if changed:
            self.ledger.change(*map(list, zip(*changed, strict=True)))
            self.ledger.commit_when_due()


FACTS = ("caption", "tags")


def facts_of(sample: Sample) -> tuple[str, tuple[str, ...]]:
    """The caption and the tags that a row shows of a sample."""
    return next(iter(sample.texts), ""), sample.tags


def clash(sample: Sample) -> Failure:
    """Why a row is bad whose id has another picture."""
    return Failure(
        CLASH, f"the id {sample.id!r} has another picture in a row before; give each picture an id of its own"
    )

"""A source through a model into files: in chunks, resumable, with memory that does not grow with the rows."""

import json
import os
import re
import shutil
import sqlite3
from collections.abc import Callable, Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.sources.base import SIDES, RowError, Source
from ..data.sources.pictures import Picture
from ..data.sources.usable import read_row, row_error
from ..errors import CheckpointError, ConfigError, DataError, advice
from ..stop import Stopped, StopRequest
from .journal import DATABASE, Journal, differences, is_count
from .outputs import FORMATS, Arrays, ReleaseLines, read_record
from .rows import encode_rows
from .sides import only_of

if TYPE_CHECKING:
    from .model import Model

CHUNK = 256
NOTHING = {"rows": 0, "texts": 0, "bad rows": 0}
"""Counts of what is not begun"""
"""Rows between two commits. Fixed, since the batches, and with them the last bits, depend on it."""
Progress = Callable[[int, int, int], object]
"""Told the rows done, all rows, and the bad ones"""
LINE = re.compile(r":(\d+)(?: \(row \d+ of the sheet\))?$")
"""The line in the place of a row"""


def encode_source(
    model: "Model",
    source: Source,
    out: str | os.PathLike,
    identity: Mapping[str, Any],
    *,
    form: str = "npy",
    on_bad: str = "skip",
    batch_size: int | None = None,
    progress: Progress | None = None,
    replace: bool = False,
    stop: StopRequest | None = None,
    sides: Collection[str] = SIDES,
) -> dict[str, Any]:
    """Encode all rows of `source` into `out` and return the record, a dictionary of counts.

    model: an `ernie_vil2.Model`; form: "npy" or "release"; identity: what must be the same for an interrupted run to
    be continued, see `identity.describe`. Bad rows are counted and listed in a side file, or the first one raises with
    on_bad="stop". progress: called with (rows done, rows, bad rows). The same call after an interruption goes on where
    it stopped and gives the same bytes; when all is done already it returns at once. replace: an older output of
    another run gives way once the new one is whole. sides: what is encoded of each row, as `sides.sides_of` finds it;
    the other side is never decoded. Raises ConfigError, DataError, NotFinite for a model that gives numbers that are
    not finite, and Stopped after a commit when `stop` was asked to.
    """
    if form not in FORMATS or on_bad not in ("skip", "stop"):
        raise ConfigError(f"form is {form!r} and on_bad {on_bad!r}; form is npy or release, on_bad is skip or stop")
    target = FORMATS[form](out, model.embed_dim, sides)
    identity = {**identity, "format": form, "only": only_of(sides)}
    try:
        if target.occupied():
            other = other_run(read_record(target.record), identity)
            if (other and not replace) or not (other or (target.work / DATABASE).exists()):
                return finished(target, identity)
        journal = Journal(target.work, identity)
        try:
            if not journal.state.get("done"):
                Encoding(model, source, target, journal, on_bad, batch_size).run(progress, stop)
            record = {**identity, **NOTHING, **journal.state.get("counts", {})}
        except NotFinite:
            journal.close()
            if not journal.state.get("counts"):
                shutil.rmtree(target.work)  # nothing was kept, so that a repaired model meets no old journal
            raise
        finally:
            journal.close()
        if not record["texts"] and not record.get("images"):
            first = (target.work / "bad.jsonl").read_text(encoding="utf-8").split("\n")[0]
            shutil.rmtree(target.work)
            raise DataError(f"{source.name}: no row can be encoded, so nothing was written; the first: {first}")
        target.publish(record)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot write {out}: {reason}; {advice(error, 'make room or correct the path')}, then repeat the command: "
            "it goes on where it stopped"
        ) from error
    return record


def finished(target: Arrays | ReleaseLines, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an output that exists already, if it is the one that was asked for."""
    record = read_record(target.record)
    if record and not all(is_count(record.get(name)) for name in NOTHING):
        raise DataError(f"{target.record} is damaged: it does not say how much was encoded; delete it and {target.out}")
    if different := other_run(record, identity):
        raise DataError(
            f"{target.out} exists and was written with another {different}; delete it or choose another output, or "
            "give --replace to replace it"
        )
    target.publish(record)
    return record


def other_run(record: Mapping[str, Any], identity: Mapping[str, Any]) -> str:
    """In what the run of a record differs from another, as words, or ''."""
    return differences({key: record.get(key) for key in identity}, identity) if record else "command"


class NotFinite(CheckpointError):
    """A model gives NaN or infinity for an item that can be read: no row is bad, the model is."""


def check_finite(sample_id: str, texts: np.ndarray | None, image: np.ndarray | None) -> None:
    """NotFinite that names a row whose text vectors [N, D] or image vector [D] (None: not here) are not finite."""
    for what, vectors in (("a text of", texts), ("image", image)):
        if vectors is not None and not np.isfinite(vectors).all():
            raise NotFinite(
                f"the model's embeddings are not finite: the first is that of {what} {sample_id!r}, which "
                "can be read but gives NaN or infinity; the weights are broken, so give another model"
            )


class JournalPictures:
    """The picture of every id that was written, on the disk."""

    def __init__(self, journal: Journal):
        self.journal = journal

    def get(self, key: str, /) -> Picture | None:
        value = self.journal.value(key)
        try:
            return None if value is None else Picture(*json.loads(value))
        except (ValueError, TypeError, RecursionError):
            raise self.journal.damaged() from None

    def __setitem__(self, key: str, picture: Picture, /) -> None:
        self.journal.add(key, json.dumps(picture))


class Encoding:
    """One run over the rows that are left."""

    def __init__(
        self,
        model: "Model",
        source: Source,
        target: Arrays | ReleaseLines,
        journal: Journal,
        on_bad: str,
        batch_size: int | None,
    ):
        self.model, self.source, self.target, self.journal = model, source, target, journal
        self.stop_at_bad = on_bad == "stop"
        self.batch_size = batch_size
        self.pictures = JournalPictures(journal)
        self.counts = {**NOTHING, **journal.state.get("counts", {})}

    def run(self, progress: Progress | None = None, stop: StopRequest | None = None) -> None:
        """Encode the chunks that are left, commit each, and complete the files."""
        self.journal.open(self.target.files)
        if not self.counts["rows"]:
            self.target.begin(self.journal)
        progress = progress or (lambda *counts: None)
        progress(self.counts["rows"], len(self.source), self.counts["bad rows"])
        while self.counts["rows"] < len(self.source):
            self.chunk(range(self.counts["rows"], min(self.counts["rows"] + CHUNK, len(self.source))))
            self.journal.commit(counts=self.counts)
            progress(self.counts["rows"], len(self.source), self.counts["bad rows"])
            if stop is not None and stop.asked:
                raise Stopped(stop.signal)
        self.target.complete(self.journal)
        self.journal.commit(done=True)

    def chunk(self, indices: range) -> None:
        """Encode and write the rows `indices`."""
        samples, bad = {}, {}
        for index in indices:
            try:
                samples[index] = read_row(self.source, index)
            except RowError as error:
                bad[index] = error
        again, sides = not self.target.once_per_id, self.target.sides
        found = encode_rows(self.model, self.source, samples, self.pictures, again, sides, batch_size=self.batch_size)
        bad.update(found.bad)
        good = {index: sample for index, sample in samples.items() if index not in bad}
        for index, sample in good.items():
            check_finite(sample.id, found.texts.get(index), found.images.get(index))
        for index in sorted(bad):
            self.report(index, row_error(self.source.where(index), bad[index]))
        rows = [
            (sample.id, sample.texts, found.texts.get(index), found.images.get(index)) for index, sample in good.items()
        ]
        self.target.write(self.journal, rows, {samples[index].id: found.images[index] for index in found.fresh})
        self.counts["rows"] = indices.stop
        if self.target.once_per_id and "image" in self.target.sides:
            self.counts["images"] = self.counts.get("images", 0) + len(found.fresh)
        if "text" in self.target.sides:
            self.counts["texts"] += sum(len(sample.texts) for sample in good.values())
        self.counts["bad rows"] += len(bad)

    def report(self, index: int, error: RowError) -> None:
        """Count and list a bad row, or stop at it."""
        if self.stop_at_bad:
            raise DataError(str(error))
        causes = self.counts.setdefault("causes", {})
        causes[error.cause] = causes.get(error.cause, 0) + 1
        row = {
            "line": line_of(error.where, index),
            "where": error.where,
            "reason": error.reason,
            "fix": error.fix,
            "cause": error.cause,
        }
        line = json.dumps(row, ensure_ascii=False) + "\n"
        self.journal.write("bad.jsonl", line.encode("utf-8", "backslashreplace"))


def line_of(where: str, index: int) -> int:
    """The line in the place of a row; of a row without one, its number from 1."""
    found = LINE.search(where)
    return int(found[1]) if found else index + 1

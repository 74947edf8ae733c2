"""A source through a model into files: in chunks, resumable, with memory that does not grow with the rows."""

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.images.limits import image_error
from ..data.sources.base import RowError, Sample, Source
from ..data.sources.usable import read_row, row_error
from ..errors import CheckpointError, ConfigError, DataError
from .identity import as_bytes
from .items import Reason
from .journal import Journal, differences
from .outputs import FORMATS, Arrays, ReleaseLines, read_record

if TYPE_CHECKING:
    from .model import Model

CHUNK = 256
"""Rows between two commits. Fixed, since the batches, and with them the last bits, depend on it."""
Progress = Callable[[int, int, int], object]
"""Told the rows done, all rows, and the bad ones"""


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
) -> dict[str, Any]:
    """Encode all rows of `source` into `out` and return the record, a dictionary of counts.

    model: an `ernie_vil2.Model`; form: "npy" or "release"; identity: what must be the same for an interrupted run to
    be continued, see `identity.describe`. Bad rows are counted and listed in a side file, or the first one raises with
    on_bad="stop". progress: called with (rows done, rows, bad rows). The same call after an interruption goes on where
    it stopped and gives the same bytes; when all is done already it returns at once. Raises DataError, and NotFinite
    for a model that gives numbers that are not finite.
    """
    if form not in FORMATS or on_bad not in ("skip", "stop"):
        raise ConfigError(f"form is {form!r} and on_bad {on_bad!r}; form is npy or release, on_bad is skip or stop")
    target = FORMATS[form](out, model.embed_dim)
    identity = {**identity, "format": form}
    try:
        if target.occupied():
            return finished(target, identity)
        journal = Journal(target.work, identity)
        try:
            if not journal.state.get("done"):
                Encoding(model, source, target, journal, on_bad, batch_size).run(progress)
            record = {**identity, **journal.state["counts"]}
        except NotFinite:
            journal.close()
            if not journal.state.get("counts"):
                shutil.rmtree(target.work)  # nothing was kept, so that a repaired model meets no old journal
            raise
        finally:
            journal.close()
        if not record["texts"]:
            first = (target.work / "bad.jsonl").read_text(encoding="utf-8").split("\n")[0]
            shutil.rmtree(target.work)
            raise DataError(f"{source.name}: no row can be encoded, so nothing was written; the first: {first}")
        target.publish(record)
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(
            f"cannot write {out}: {reason}; make room or correct the path, then repeat the command: it "
            "goes on where it stopped"
        ) from error
    return record


def finished(target: Arrays | ReleaseLines, identity: Mapping[str, Any]) -> dict[str, Any]:
    """The record of an output that exists already, if it is the one that was asked for."""
    record = read_record(target.record)
    different = differences({key: record.get(key) for key in identity}, identity) if record else "command"
    if different:
        raise DataError(
            f"{target.out} exists and was written with another {different}; delete it or choose another output"
        )
    target.publish(record)
    return record


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
        self.counts = journal.state.get("counts") or {"rows": 0, "texts": 0, "bad rows": 0}

    def run(self, progress: Progress | None = None) -> None:
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
        texts = self.texts(samples, bad)
        images, fresh = self.images(samples, bad)
        for index, sample in samples.items():
            if index not in bad:
                check_finite(sample.id, texts[index], images.get(index))
        for index in sorted(bad):
            self.report(index, row_error(self.source.where(index), bad[index]))
        rows = [(sample.id, texts[index], images.get(index)) for index, sample in samples.items() if index not in bad]
        self.target.write(self.journal, rows, fresh)
        self.counts["rows"] = indices.stop
        if self.target.once_per_id:
            self.counts["images"] = self.counts.get("images", 0) + len(fresh)
        self.counts["texts"] += sum(len(vectors) for _, vectors, _ in rows)
        self.counts["bad rows"] += len(bad)

    def texts(self, samples: Mapping[int, Sample], bad: dict[int, DataError]) -> dict[int, np.ndarray]:
        """{row: text vectors}."""
        everything = [text for sample in samples.values() for text in sample.texts]
        vectors, failures = self.model.encode_text(everything, batch_size=self.batch_size, on_error="skip")
        failures, found, start = dict(failures), {}, 0
        for index, sample in samples.items():
            stop = start + len(sample.texts)
            found[index] = vectors[start:stop]
            reasons = [failures[position] for position in range(start, stop) if position in failures]
            if reasons:
                bad[index] = DataError(reasons[0])
            start = stop
        return found

    def images(
        self, samples: Mapping[int, Sample], bad: dict[int, DataError]
    ) -> tuple[dict[int, np.ndarray], dict[str, np.ndarray]]:
        """({row: image vector}, {id: image vector} that are new); an image is encoded once per chunk, or once at all.

        A row whose image is broken hands its turn to the next row with the same image id.
        """
        waiting = {}
        for index, sample in samples.items():
            if index not in bad:
                waiting.setdefault(self.image_key(sample), []).append(index)
        if self.target.once_per_id:
            waiting = {key: rows for key, rows in waiting.items() if not self.journal.knows(key)}
        vectors, fresh = {}, {}
        while waiting:
            turn = [(key, rows.pop(0)) for key, rows in waiting.items()]
            embeds, failures = self.model.encode_image(
                [samples[index].image for _, index in turn], batch_size=self.batch_size, on_error="skip"
            )
            failures = dict(failures)
            for position, (key, index) in enumerate(turn):
                if position in failures:
                    bad[index] = image_error(getattr(failures[position], "cause", Reason.cause), failures[position])
                else:
                    vectors.update(dict.fromkeys([index, *waiting.pop(key)], embeds[position]))
                    fresh[index] = samples[index].id, embeds[position]
            waiting = {key: rows for key, rows in waiting.items() if rows}
        fresh = dict(fresh[index] for index in sorted(fresh))
        if self.target.once_per_id:
            for key in fresh:
                self.journal.add(key)
        return vectors, fresh

    def image_key(self, sample: Sample) -> str | tuple[str, bytes]:
        """What makes two rows of a chunk show the same image."""
        if self.target.once_per_id:
            return sample.id
        return sample.id, hashlib.sha256(as_bytes(sample.image)).digest()

    def report(self, index: int, error: RowError) -> None:
        """Count and list a bad row, or stop at it."""
        if self.stop_at_bad:
            raise DataError(str(error))
        causes = self.counts.setdefault("causes", {})
        causes[error.cause] = causes.get(error.cause, 0) + 1
        line = error.where.rpartition(":")[2]
        row = {
            "line": int(line) if line.isdigit() else index + 1,
            "where": error.where,
            "reason": error.reason,
            "fix": error.fix,
            "cause": error.cause,
        }
        line = json.dumps(row, ensure_ascii=False) + "\n"
        self.journal.write("bad.jsonl", line.encode("utf-8", "backslashreplace"))

"""Validation shared out over ranks: each encodes a part of the source, the metrics are computed on all of it.

It only shows something, so it ends no run: what goes wrong in it, of whatever kind, is told, and the run goes on.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.sources.base import Source
from ..errors import DataError, cause_of
from ..evaluation.embeddings import Embeddings
from ..evaluation.encoding import encode_source
from ..evaluation.parts import join_parts
from ..evaluation.retrieval import evaluate
from ..inference.model import Model
from ..stop import StopRequest
from .before_after import SHOWN, VALID, BeforeAfter, Measure, Measured
from .distributed import Ranks
from .log.pictures import places_of, projection, query_grid, query_texts
from .log.run_log import RunLog, SilentLog

Log = RunLog | SilentLog


def share_of(rows: int, rank: int, size: int) -> range:
    """The range of rows that a rank encodes."""
    return range(rows * rank // size, rows * (rank + 1) // size)


class Unmeasured(Exception):
    """A source was not measured, on any rank; says why."""


def attempt(work: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """(result, None), or (None, what went wrong)."""
    try:
        return work(), None
    except Exception as error:
        return None, error


def validate(
    encoder: Model, source: Source, ranks: Ranks, stop: StopRequest | None = None
) -> tuple[dict[str, float], Embeddings]:
    """(metrics of the standard protocol, on rank 0, and Embeddings); broken samples are left out and noted.

    Raises Unmeasured, on every rank, where a rank could not encode its part, whatever the reason, or where `stop` was
    asked meanwhile.
    """

    def encode() -> Embeddings:
        rows = share_of(len(source), ranks.rank, ranks.size)
        return encode_source(encoder, source, True, rows=rows, progress=interruption(stop), apart=ranks.size > 1)

    part, fault = attempt(encode)
    ranks.wait()  # on cards too: one part may take longer than a collective may
    if any(ranks.any(fault is not None)):
        raise Unmeasured(cause_of(fault) if fault else "another rank could not encode its part, its log says why")
    if ranks.size > 1:
        try:
            part = join_parts(part, source, ranks.all_rows)
        except DataError as error:  # of all parts together, so every rank has it
            raise Unmeasured(str(error)) from None
    metrics, fault = attempt(lambda: evaluate(part, "standard")["standard"]) if ranks.main else ({}, None)
    ranks.wait()
    if any(ranks.any(fault is not None)):
        raise Unmeasured(cause_of(fault) if fault else "rank 0 could not compute the metrics")
    return metrics, part


def interruption(stop: StopRequest | None) -> Callable[[int, int], None]:
    """A progress that ends the work when `stop` is asked."""

    def look(done: int, total: int) -> None:
        if stop is not None and stop.asked:
            raise Unmeasured("a signal came before it was done")

    return look


class Validation:
    """The validation of a run: recalls and pictures of data.valid, and what was known before and after.

    valid: the source, or None; tuned: whether the run starts from trained weights, so that there is a before.
    `metrics` are the last ones, on rank 0; `interrupted`: a signal came into a measurement.
    """

    def __init__(
        self, valid: Source | None, encoder: Model, ranks: Ranks, before_after: BeforeAfter, tuned: bool
    ) -> None:
        self.valid, self.encoder, self.ranks = valid, encoder, ranks
        self.before_after, self.tuned = before_after, tuned
        self.metrics: dict[str, float] = {}
        self.interrupted = False

    def start(self, log: Log, stop: StopRequest | None = None) -> None:
        """Before the first step: what the weights to start from can do, where they were trained."""
        if self.tuned:
            self.before_after.start(self._measure(stop), log)

    def end(self, step: int, log: Log, valid: dict[str, float], stop: StopRequest | None = None) -> None:
        """After the last step: what is left of it; `valid` are its metrics on data.valid."""
        self.before_after.end(step, self._measure(stop), log, valid)

    def _measure(self, stop: StopRequest | None) -> Measure:
        return lambda name, source, step, log: self._measured(name, source, step, log, stop)

    def _measured(self, name: str, source: Source, step: int, log: Log, stop: StopRequest | None) -> Measured | None:
        """(metrics, on rank 0, and Embeddings) of a source, logged under its name; None where it was not measured."""
        try:
            metrics, embeddings = validate(self.encoder, source, self.ranks, stop)
        except Unmeasured as error:
            self.interrupted = self.interrupted or (stop is not None and stop.asked)
            log.say(f"note: {name} is not measured at step {step}: {error}; the run goes on")
            return None
        for note in embeddings.notes:
            log.say(f"{name}: {note}")
        if self.ranks.main:
            kind = "valid" if name == VALID else "zero_shot"
            shown = {key: metrics[key] for key in SHOWN}
            log.record(kind, step, {**shown, "source": source.name if name == VALID else name})
        self.ranks.wait()
        return metrics, embeddings

    def measure(self, step: int, log: Log, stop: StopRequest | None = None) -> dict[str, float] | None:
        """The metrics of data.valid, on rank 0, with their line and pictures; None where it was not measured."""
        found = self._measured(VALID, self.valid, step, log, stop)
        if found is None:
            return None
        self.metrics, embeddings = found
        if self.ranks.main:
            _, fault = attempt(lambda: self._draw(log, step, embeddings))
            if fault is not None:
                log.say(f"note: valid has no pictures of step {step}: {cause_of(fault)}")
        self.ranks.wait()
        return self.metrics

    def _draw(self, log: Log, step: int, embeddings: Embeddings) -> None:
        own = embeddings.image[embeddings.text_image]
        log.histogram("valid/similarity", step, np.einsum("nd,nd->n", embeddings.text, own))
        places = places_of(embeddings)
        if not places:
            return
        grid = query_grid(self.encoder, self.valid, embeddings, places=places)
        texts = query_texts(self.valid, embeddings, places=places)
        points = projection(self.encoder, self.valid, embeddings, places=places)
        if grid is not None:
            log.images("valid/queries", step, grid)
        if texts is not None:
            log.text("valid/queries", step, texts)
        if points is not None:
            log.projector("valid/embeddings", step, *points)

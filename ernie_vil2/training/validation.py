"""Validation shared out over ranks: each encodes a part of the source, the metrics are computed on all of it."""

import numpy as np

from ..data.sources.base import Source
from ..errors import UserError
from ..evaluation.embeddings import Embeddings
from ..evaluation.encoding import encode_source
from ..evaluation.parts import join_parts
from ..evaluation.retrieval import evaluate
from ..inference.model import Model
from .before_after import SHOWN, VALID, BeforeAfter, Measured
from .distributed import Ranks
from .log.pictures import places_of, projection, query_grid
from .log.run_log import RunLog, SilentLog

Log = RunLog | SilentLog


def share_of(rows: int, rank: int, size: int) -> range:
    """The range of rows that a rank encodes."""
    return range(rows * rank // size, rows * (rank + 1) // size)


def validate(encoder: Model, source: Source, ranks: Ranks) -> tuple[dict[str, float], Embeddings]:
    """(metrics of the standard protocol, on rank 0, and Embeddings); broken samples are left out and noted.

    Other ranks return before rank 0: wait for it before the next collective.
    """
    together = ranks.size > 1
    part = encode_source(encoder, source, True, rows=share_of(len(source), ranks.rank, ranks.size), apart=together)
    ranks.wait()
    every = join_parts(part, source, ranks.all_rows) if together else part
    return evaluate(every, "standard")["standard"] if ranks.main else {}, every


class Validation:
    """The validation of a run: recalls and pictures of data.valid, and what was known before and after.

    valid: the source, or None; tuned: whether the run starts from trained weights, so that there is a before.
    `metrics` are the last ones, on rank 0.
    """

    def __init__(
        self, valid: Source | None, encoder: Model, ranks: Ranks, before_after: BeforeAfter, tuned: bool
    ) -> None:
        self.valid, self.encoder, self.ranks = valid, encoder, ranks
        self.before_after, self.tuned = before_after, tuned
        self.metrics: dict[str, float] = {}
        self.places = None

    def start(self, log: Log) -> None:
        """Before the first step: what the weights to start from can do, where they were trained."""
        if self.tuned:
            self.before_after.start(self._measured, log)

    def end(self, step: int, log: Log) -> None:
        """After the last step: what is left of it."""
        self.before_after.end(step, self._measured, log, self.metrics)

    def _measured(self, name: str, source: Source, step: int, log: Log) -> Measured:
        """(metrics, on rank 0, and Embeddings) of a source, logged under its name."""
        metrics, embeddings = validate(self.encoder, source, self.ranks)
        for note in embeddings.notes:
            log.say(f"{name}: {note}")
        if self.ranks.main:
            kind = "valid" if name == VALID else "zero_shot"
            shown = {key: metrics[key] for key in SHOWN}
            log.record(kind, step, {**shown, "source": source.name if name == VALID else name})
        self.ranks.wait()
        return metrics, embeddings

    def measure(self, step: int, log: Log) -> float:
        """The mean recall on data.valid, the same on every rank, with its line and pictures."""
        score = 0.0
        metrics, embeddings = self._measured(VALID, self.valid, step, log)
        if self.ranks.main:
            self.metrics, score = metrics, metrics["mean_recall"]
            try:
                self._draw(log, step, embeddings)
            except (UserError, OSError) as error:  # a picture is not worth the checkpoint that comes next
                log.say(f"valid: no pictures of step {step}: {error}")
        self.ranks.wait()
        return float(self.ranks.sum([score])[0])

    def _draw(self, log: Log, step: int, embeddings: Embeddings) -> None:
        own = embeddings.image[embeddings.text_image]
        log.histogram("valid/similarity", step, np.einsum("nd,nd->n", embeddings.text, own))
        if self.places is None:
            self.places = places_of(embeddings) or ()
        if not self.places:
            return
        grid = query_grid(self.encoder, self.valid, embeddings, places=self.places)
        points = projection(self.encoder, self.valid, embeddings, places=self.places)
        if grid is not None:
            log.images("valid/queries", step, grid)
        if points is not None:
            log.projector("valid/embeddings", step, *points)

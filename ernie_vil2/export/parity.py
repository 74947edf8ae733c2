"""What the exported files compute against what the network does in dynamic mode, on real pictures and texts."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from ..conversion.check import unit
from ..errors import CheckpointError
from ..evaluation.metrics.finite import finite
from ..inference.engines.dynamic import DynamicEngine
from ..inference.engines.engine import Run
from ..inference.model import Model
from .parity_inputs import Items, image_batches, text_batches

LARGEST_DIFFERENCE = 1e-4
"""Of embeddings of length 1, both sides in fp32"""
ARRAYS, CLIENT = "arrays", "client"
HEAD = ("tower", "given", "batch", "length", "largest difference", "smallest cosine")


@dataclass(frozen=True)
class Row:
    """What was found for a batch. given: the same arrays on both sides, or files and sentences as the client reads
    them; length: tokens of the longest text, None of images; difference: the largest between embeddings of length 1."""

    tower: str
    given: str
    batch: int
    length: int | None
    difference: float
    cosine: float


def compared(tower: str, given: str, length: int | None, found: np.ndarray, wanted: np.ndarray) -> Row:
    """The Row of embeddings [B, D] that were found and of those that are wanted; CheckpointError for other shapes."""
    if found.shape != wanted.shape:
        raise CheckpointError(
            f"the exported {tower} tower gives embeddings of shape {list(found.shape)} where the model gives "
            f"{list(wanted.shape)}, so nothing was written; report it, with the command"
        )
    found, wanted = (unit(np.asarray(rows, np.float64)) for rows in (found, wanted))
    return Row(
        tower, given, len(wanted), length, float(np.abs(found - wanted).max()), float((found * wanted).sum(-1).min())
    )


def array_rows(model: Model, runs: Mapping[str, Run], items: Items) -> list[Row]:
    """The Rows of the same arrays through the network and through what was written, batch by batch. CheckpointError
    for a network whose own embeddings are no numbers: what was written is not to blame."""
    rows = []
    for tower, batches in (("image", image_batches), ("text", text_batches)):
        with DynamicEngine(model.network, tower).session(1) as session:
            for batch in batches(model, items):
                wanted = finite(session.run(*batch.arrays), f"{tower} {{}}".format)
                found = runs[tower](*batch.arrays)
                rows.append(compared(tower, ARRAYS, batch.length, found, wanted))
    return rows


def client_rows(model: Model, items: Items, found: Mapping[str, np.ndarray]) -> list[Row]:
    """The Rows of what a client made of the pictures' files and of the captions: {"image": [N, D], "text": [N, D]}."""
    length = int(min(model.config.max_length, model.tokenizer.lengths(items.texts).max()))
    return [
        compared("image", CLIENT, None, found["image"], model.encode_image(list(items.pictures))),
        compared("text", CLIENT, length, found["text"], model.encode_text(list(items.texts))),
    ]


def refuse_difference(rows: Sequence[Row], target: str) -> None:
    """CheckpointError for the first Row that differs by more than arithmetic in fp32 does."""
    for row in rows:
        if not row.difference <= LARGEST_DIFFERENCE:  # NaN is never
            what = "the client written for" if row.given == CLIENT else "what was written for"
            raise CheckpointError(
                f"{what} {target} does not compute what the {row.tower} tower does: embeddings of a batch of "
                f"{row.batch} differ by up to {row.difference:.2g} (cosine {row.cosine:.6f}), so nothing was written; "
                "report it, with the command"
            )


def table(rows: Sequence[Row]) -> list[str]:
    """The Rows as lines of text."""
    cells = [HEAD]
    for row in rows:
        length = "" if row.length is None else str(row.length)
        cells.append((row.tower, row.given, str(row.batch), length, f"{row.difference:.1e}", f"{row.cosine:.9f}"))
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells]

"""An index of drawn vectors that a real model can be asked in: as many pictures as wanted, none of which has a file."""

from pathlib import Path

from ...checkpoints.model_directory import open_model
from ...inference.identity import model_digest
from ...search.scan.nearest import renew_neighbours
from ...search.store.manifest import Manifest
from ...search.store.writer import open_writer
from ..search.rows import write_rows
from ..search.vectors import SyntheticVectors
from ..speed.encoding import random_weights
from ..speed.turns.process import Process


def write_drawn(folder: Path, rows: int, model: Path) -> None:
    """Write an index of so many pictures into a new folder, with the neighbours that it would have.

    model: what it is asked by, whose width the vectors have. Raises CheckpointError for what is no model.
    """
    _, config, _ = open_model(model)
    width = next(width for width in config.embed_dims() if width)
    record = {"digest": model_digest(model), "path": str(model.resolve()), "system": config.system}
    write_rows(folder, SyntheticVectors(rows, width), record)
    with open_writer(folder, Manifest(width=width, model=record)) as writer:
        renew_neighbours(writer)


def random_model(place: Path) -> Path:
    """A model of the base size with random weights in a new folder, written by a process of its own."""
    Process("random weights", random_weights.START, {"to": str(place)}).close()
    return place

"""Encoding by every side in turn, each in a process of its own, so that what else the machine does hits all alike.

Every side gets the same files and captions, and leaves its embeddings as .npy files, which are compared with those of
dynamic mode: a speed without a look at what came out would say nothing.
"""

import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from ....config.model import ModelConfig
from ....files.leftovers import scratch_folder
from ....runtime import cpu_count
from ...operations import has_counts, view_flops
from ..turns.torch_python import torch_python
from .measurements import Comparison, Measured
from .sides import chosen
from .turns import Turns
from .work import KINDS, QUERIES, Work, make_work


def compare(
    model: str | os.PathLike | None = None,
    vocab: str | os.PathLike | None = None,
    images: int = 64,
    texts: int = 256,
    repeats: int = 3,
    names: Iterable[str] | None = None,
    torch: str | os.PathLike | None = None,
    note: Callable[[str], object] = lambda line: None,
) -> Comparison:
    """Measure the sides of these names (None: all) in `repeats` turns.

    model: a path, or None for random weights of the base size. torch: a Python that has torch; None: TORCH_PYTHON.
    A side that cannot run here, or stops, has the reason in place of figures; UserError where that is dynamic mode.
    """
    sides = chosen(names)
    python = torch_python(torch)
    with scratch_folder("encoding") as folder, ExitStack() as stack:
        work, config = make_work(folder, model, vocab, images, texts)
        found = Comparison(operations(config, work), work.tokens, images, texts, cpu_count())
        found.sides = {side.name: Measured(side) for side in sides}
        turns = Turns(found, work, folder, python, stack, note)
        for side in sides:
            turns.start(side)
        for turn in range(repeats):
            note(f"turn {turn + 1} of {repeats}")
            turns.measure_peaks()
            for kind in KINDS:
                turns.encode(kind)
            for kind, count in QUERIES.items():
                turns.query(kind, count)
        turns.compare_outputs(KINDS)
    return found


def operations(config: ModelConfig, work: Work) -> dict[str, float]:
    """{kind: operations of encoding an item}, {} for towers whose operations are not counted."""
    if not has_counts(config):
        return {}
    counts = {kind: view_flops(config, length)[1] for kind, length in work.tokens.items()}
    return counts | {"images": view_flops(config)[0]}

"""Sources as arguments: opened, and told of."""

import sys
from typing import TextIO

from ..data.sources.base import Source
from ..data.sources.open import open_source
from ..messages import plain

SOURCE = (
    ".tsv, .jsonl, .tar, .parquet, .txt, folder, glob, scenes:..., or a mapping such as '{kind: lmdb, path: train}'"
)


def opened(text: str, told: TextIO | None = None) -> Source:
    """The source that an argument stands for, after saying what was found and what is left out.

    told: where that is said, by default standard output.
    """
    source = open_source(text)
    lines = [source.describe(), *(f"note: {note}" for note in source.notes)]
    print(*map(plain, lines), sep="\n", file=told or sys.stdout, flush=True)
    return source

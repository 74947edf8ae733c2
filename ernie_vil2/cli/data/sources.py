"""Sources as arguments: opened, told of, walked over under a progress bar."""

import argparse
import sys
from collections.abc import Callable, Iterable

from tqdm import tqdm

from ...data.sources.base import Source
from ...data.sources.open import open_source

SOURCE = ".tsv, .jsonl, .tar, folder, glob, scenes:..., or a mapping such as '{kind: lmdb, path: train}'"


def opened(text: str) -> Source:
    """The source that an argument stands for, after saying what was found and what is left out."""
    source = open_source(text)
    print(source.describe(), *(f"note: {note}" for note in source.notes), sep="\n", flush=True)
    return source


def bar(source: Source, options: argparse.Namespace | None = None) -> Callable[[Iterable], Iterable]:
    """Function that wraps an iterator of rows in a progress bar on a terminal, and in nothing elsewhere."""
    total = min(len(source), getattr(options, "limit", None) or len(source))
    return lambda rows: tqdm(rows, total=total, unit="row", leave=False, disable=not sys.stderr.isatty())

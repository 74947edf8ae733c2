"""What runs one tower for inference: a session of an engine."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

import numpy as np

Run = Callable[..., np.ndarray]
"""Arrays of a batch to raw embeddings float32 [B, D]: token ids int64 [B, L]; or pixels float32 [B, 3, S, S], and where
images have boxes these, float32 [B, M, 4], and their counts int64 [B]"""


@dataclass(frozen=True)
class Session:
    """Threads that compute with an engine: each calls `prepare` first, where there is one, and then `run`."""

    run: Run
    prepare: Callable[[], object] | None = None


class Engine(Protocol):
    """One tower, arrays in and arrays out.

    most_workers: threads that it can make use of side by side; boxed: whether every batch of images has its boxes,
    though they are those of the whole picture.
    """

    most_workers: int
    boxed: bool

    def session(self, workers: int) -> AbstractContextManager[Session]:
        """A context in which `workers` threads compute; one has all cores to itself."""

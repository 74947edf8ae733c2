"""What a side encodes with, and its process, which is asked to encode."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ..turns.answers import converse, seconds

WARM = {"images": 8, "short": 32, "long": 32}
"""Items of each kind that are encoded before anything is measured: a batch"""


class Encoder(Protocol):
    """What a side encodes with; `told` says how, where there was a choice."""

    told: str

    def encode(self, kind: str, items: Sequence[str]) -> np.ndarray:
        """Normalised embeddings float32 [N, D] of image files (kind images) or of captions (short, long)."""


def serve(make: Callable[[Mapping[str, Any]], Encoder]) -> None:
    """The process of a side that encodes: its first answer is how it does so, after a batch of every kind.

    A request {"kind": images, short or long, "count": N, "to": file} is answered with the seconds of encoding the first
    N items into a .npy file; {"kind", "queries": N} with the seconds of each of N items, encoded one at a time.
    """

    def begin(job: Mapping[str, Any]) -> tuple[str, Callable[[Mapping[str, Any]], Any]]:
        encoder, items = make(job), job["captions"] | {"images": job["photos"]}
        for kind, count in WARM.items():
            encoder.encode(kind, items[kind][: max(1, count // job["share"])])
            encoder.encode(kind, items[kind][:1])

        def answer(request: Mapping[str, Any]) -> Any:
            kind = request["kind"]
            if "queries" in request:
                asked = (items[kind][number % len(items[kind])] for number in range(request["queries"]))
                return [seconds(lambda item=item: encoder.encode(kind, [item])) for item in asked]
            return seconds(lambda: np.save(request["to"], encoder.encode(kind, items[kind][: request["count"]])))

        return encoder.told, answer

    converse(begin)


def unit(embeds: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return embeds / np.linalg.norm(embeds, axis=1, keepdims=True)

"""A side's process, seen from itself: it loads, says that it is ready or why it cannot take part, and answers."""

import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from ....errors import UserError

ANSWER, REFUSAL = "answer ", "refusal "
"""Beginnings of the lines that are meant for the other process; libraries may print others"""
WARM = {"images": 8, "short": 32, "long": 32}
"""Items of each kind that are encoded before anything is measured: a batch"""


class Encoder(Protocol):
    """What a side encodes with; `told` says how, where there was a choice."""

    told: str

    def encode(self, kind: str, items: Sequence[str]) -> np.ndarray:
        """Normalised embeddings float32 [N, D] of image files (kind images) or of captions (short, long)."""


def converse(begin: Callable[[Mapping[str, Any]], tuple[Any, Callable[[Any], Any]]]) -> None:
    """The loop of a process: a job as JSON on the first line of standard input, then a request a line, each answered.

    begin(job) -> (first answer, function from a request to its answer); what raises UserError or lacks a library is
    refused.
    """
    try:
        told, answer = begin(json.loads(sys.stdin.readline()))
    except UserError as error:
        print(REFUSAL + json.dumps(str(error)), flush=True)
        return
    except ModuleNotFoundError as error:
        lacking = f"{error.name} is not installed for {sys.executable}; install it there, or name another Python"
        print(REFUSAL + json.dumps(lacking), flush=True)
        return
    print(ANSWER + json.dumps(told), flush=True)
    for line in sys.stdin:
        try:
            print(ANSWER + json.dumps(answer(json.loads(line))), flush=True)
        except UserError as error:
            print(REFUSAL + json.dumps(str(error)), flush=True)


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


def seconds(call: Callable[[], object]) -> float:
    """How long a call takes."""
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def unit(embeds: np.ndarray) -> np.ndarray:
    """Rows of length 1."""
    return embeds / np.linalg.norm(embeds, axis=1, keepdims=True)

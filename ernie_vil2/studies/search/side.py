"""A process in which one kind of neighbours is built, or opened and asked: its memory is that of this kind alone."""

import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ...device import process_memory
from ...search.neighbours.build import build_neighbours
from ...search.neighbours.neighbours import Neighbours
from ...search.neighbours.opening import read_index
from ...search.neighbours.ranking import recall
from ...search.store.snapshot import open_snapshot
from ..speed.turns.answers import converse, seconds

BUILD = "from ernie_vil2.studies.search import side; side.build()"
SEARCH = "from ernie_vil2.studies.search import side; side.search()"
AT = 10
WARM = 2
"""Questions that are asked before time is taken"""


@dataclass(frozen=True)
class Built:
    """A kind that was built. record: of `build_neighbours`. seconds: by the clock, and of the processor. peak: MiB."""

    record: dict[str, Any]
    seconds: float
    processor: float
    peak: float


def build() -> None:
    """The process that builds: its job is {folder, kind, place}."""
    converse(lambda job: (asdict(built(Path(job["folder"]), job["kind"], Path(job["place"]))), lambda request: None))


def built(folder: Path, kind: str, place: Path) -> Built:
    """Neighbours of a kind for the pictures of an index, in a new folder."""
    place.mkdir(parents=True)
    part, used = open_snapshot(folder).part("image"), processor_seconds()
    began = time.perf_counter()
    record = build_neighbours(part, place, kind)
    took = time.perf_counter() - began
    return Built(record, took, processor_seconds() - used, process_memory().most)


def processor_seconds() -> float:
    """Seconds of processors that this process has used."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def search() -> None:
    """The process that searches: its job is {folder, record, place, questions}."""
    converse(begin)


def begin(job: Mapping[str, Any]) -> tuple[dict[str, float], Callable[[Mapping[str, Any]], Any]]:
    """Open neighbours: seconds and MiB of that, and what answers requests {what: one, batch, filter or memory, ...}."""
    import faiss

    faiss.omp_get_max_threads()  # what importing FAISS takes is no part of opening
    before, began = process_memory().now, time.perf_counter()
    part = open_snapshot(job["folder"]).part("image")
    record, index = job["record"], None
    if record["files"]:
        index = read_index(Path(job["place"]), record)
    neighbours = Neighbours(part, index, record["options"], record["bound"])
    took = time.perf_counter() - began
    asked = dict(np.load(job["questions"]))
    return {"seconds": took, "library": before}, lambda request: answer(neighbours, asked, request)


def answer(neighbours: Neighbours, asked: Mapping[str, np.ndarray], request: Mapping[str, Any]) -> Any:
    """What a request asks for: milliseconds of single questions, questions a second of a batch, recall, or MiB."""
    what = request["what"]
    if what == "memory":
        return process_memory().now
    queries = asked[request["sort"]]
    if what == "recall":
        return recall(neighbours.search(queries, AT)[1], asked[f"right {request['sort']}"])
    if what == "batch":
        return len(queries) / seconds(lambda: neighbours.search(queries, AT))
    allowed = None
    if what == "filter":
        rng = np.random.default_rng(0)
        rows = neighbours.part.bound
        allowed = np.sort(rng.choice(rows, max(AT, round(rows * request["share"])), replace=False))
    some = [queries[row : row + 1] for row in range(*request["rows"])]
    for query in some[:WARM]:
        neighbours.search(query, AT, allowed)
    return [1000 * seconds(lambda query=query: neighbours.search(query, AT, allowed)) for query in some]

"""Neighbours of a side, made from its vectors and kept: the file, and the record that the manifest holds of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ...files.atomic import synced_file
from ...files.digests import sha256_of
from ...keys import generator
from ..store.part import Part
from .candidates import kernel_threads
from .choice import AUTO, chosen, memory_for
from .exact import everywhere
from .kinds import list_count, lists_of, new_index, row_bytes
from .lists import MOST_TRAINED
from .neighbours import Neighbours
from .opening import read_index
from .tuning import AT, CANDIDATES, enough, questions, tuned

if TYPE_CHECKING:
    import faiss

FILE = "neighbours.faiss"
LEAST_SAMPLE = 20_000
"""Rows that an index is trained on at least, where there are as many"""
GROWN = 2
"""So many times the rows that it was trained on, an index is trained anew"""
MOST_NEWER = 10_000
"""Rows beside the file that are compared one by one, before they are worth to be put into it"""
LOST = 0.5
"""The share of rows in a file that may be gone, before it is made anew"""

SMALL = 20_000
"""Rows up to which one thread builds sooner than several, which wait for each other more than they compute"""

Told = Callable[[str], object]


def build_neighbours(
    part: Part,
    place: Path,
    kind: str = AUTO,
    memory: int | None = None,
    progress: Told | None = None,
    others: np.ndarray | None = None,
) -> dict[str, Any]:
    """Make the neighbours of all living rows of a side; the record of them, for the manifest.

    place: an empty folder for the file. kind: of `KINDS`, or `auto`. memory: bytes that it may take, by default half of
    what is free. progress: is told what is done now. others: embeddings of the other side, float32 [n, D], which the
    search is tuned for as well. ConfigError for another kind; an error of the system where the file cannot be written.

    Record: kind, reason, recall {at, near, far, queries, against}, bound (rows with higher ids are not in it), rows,
    trained (rows at its training), options of the search, files.
    """
    told = progress or (lambda line: None)
    rows = len(part)
    name, reason = chosen(kind, rows, part.width, memory)
    if name == "flat" or not rows:
        recall = {"at": AT, "near": 1.0, "far": 1.0, "queries": 0, "against": rows}
        record = {"kind": name, "reason": reason, "options": {}, "recall": recall, "bound": 0, "rows": rows}
        return {**record, "trained": rows, "files": {}}
    with kernel_threads(1 if rows <= SMALL else 0):
        return best_of(part, place, kind, (name, reason), memory, told, others)


def best_of(
    part: Part,
    place: Path,
    kind: str,
    choice: tuple[str, str],
    memory: int | None,
    told: Told,
    others: np.ndarray | None,
) -> dict[str, Any]:
    """The record of the kind that was chosen, or, where that was left open, of `ivf` if it finds more and fits."""
    (name, reason), rows = choice, len(part)
    index, record = made(part, name, told, others)
    if kind == AUTO and not enough(record["recall"]) and rows * row_bytes("ivf", part.width) <= memory_for(memory):
        better, other = made(part, "ivf", told, others)
        if low(other) > low(record):
            reason = f"ivf, for pq finds {low(record):.3f} of the nearest {AT}"
            index, record = better, other
    return written(index, record | {"reason": reason, "trained": rows}, place)


def made(part: Part, kind: str, told: Told, others: np.ndarray | None) -> tuple[faiss.Index, dict[str, Any]]:
    """A FAISS index of all living rows, and what its record says of it, short of the reason and the files."""
    ids = part.live_ids()
    lists = list_count(len(ids))
    told(f"training {kind} for {len(ids):,} rows")
    count = min(len(ids), max(LEAST_SAMPLE, MOST_TRAINED * lists))
    sample = part.vectors(np.sort(generator("sample", part.side).choice(ids, count, replace=False)))
    index = new_index(kind, generator("order", count).permutation(sample), lists)
    return index, filled(part, index, {"kind": kind, "options": options_of(index, kind)}, 0, told, others)


def options_of(index: faiss.Index, kind: str) -> dict[str, Any]:
    """The options of a search in a new index, before they are tuned."""
    inner, options = lists_of(index), {"candidates": CANDIDATES[-1], "answers": AT}
    if kind == "hnsw":
        options["sight"] = 0
    if inner is not None:
        options |= {"probes": 1, "lists": inner.nlist}
    return options | ({"dims": inner.d} if kind == "pq" else {})


def filled(
    part: Part, index: faiss.Index, record: dict[str, Any], bound: int, told: Told, others: np.ndarray | None
) -> dict[str, Any]:
    """The record of an index after living rows with ids from `bound` on were put into it, its search tuned anew.

    One walk through the rows adds them and finds the answers to the questions.
    """
    asked = questions(part, part.live_ids(), others)
    done = 0

    def add(ids: np.ndarray, vectors: np.ndarray) -> None:
        nonlocal done
        new = ids >= bound
        if new.any():
            index.add_with_ids(np.ascontiguousarray(vectors[new]), ids[new])
        done += len(ids)
        told(f"{done:,} of {len(part):,} rows are in the {record['kind']} index")

    every = np.concatenate(list(asked.values()))
    _, answers = everywhere(part.blocks(), every, AT, add)
    right = dict(zip(asked, np.split(answers, [len(asked["near"])]), strict=True))
    told("measuring what it finds")
    search = Neighbours(part, index, record["options"], part.bound)
    found = tuned(search, asked, right)
    recall = {"at": AT, **{sort: round(value, 4) for sort, value in found.items()}}
    recall |= {"queries": len(every), "against": len(part)}
    return {**record, "options": search.options, "recall": recall, "bound": part.bound, "rows": index.ntotal}


def low(record: Mapping[str, Any]) -> float:
    """The recall of the sort of questions that is answered worse."""
    return min(record["recall"]["near"], record["recall"]["far"])


def written(index: faiss.Index, record: dict[str, Any], place: Path) -> dict[str, Any]:
    """The record of an index whose file was written; OSError where the system refuses, which FAISS by itself does not
    tell of the last bytes."""
    import faiss

    path = place / FILE
    with synced_file(path) as handle:
        faiss.write_index(index, faiss.PyCallbackIOWriter(handle.write))
    return {**record, "files": {FILE: {"bytes": path.stat().st_size, "sha256": sha256_of(path)}}}


def update_neighbours(
    part: Part,
    place: Path,
    record: Mapping[str, Any],
    folder: Path,
    progress: Told | None = None,
    others: np.ndarray | None = None,
) -> dict[str, Any]:
    """The record of neighbours that also hold the rows which are newer than an index, which is trained no further.

    record, folder: of the index as it is. place: an empty folder for the new file.
    """
    index, told = read_index(folder, record), progress or (lambda line: None)
    kept = {name: record[name] for name in ("kind", "reason", "trained", "options")}
    with kernel_threads(1 if len(part) <= SMALL else 0):
        return written(index, filled(part, index, kept, record["bound"], told, others), place)


def outdated(part: Part, record: Mapping[str, Any] | None) -> str:
    """What the neighbours of a side want: `` (nothing), `update` (rows added), or `build` (made anew).

    They are made anew where rows doubled since they were trained, half of them are gone, or a flat side has grown.
    """
    rows = len(part)
    if record is None:
        return "build"
    if record["kind"] == "flat":
        wanted, _ = chosen(AUTO, rows, part.width)
        return "build" if wanted != "flat" and not record["reason"].endswith("asked for") else ""
    newer = int((part.live_ids() >= record["bound"]).sum())
    if rows > GROWN * record["trained"] or rows - newer < LOST * record["rows"]:
        return "build"
    return "update" if newer > MOST_NEWER else ""

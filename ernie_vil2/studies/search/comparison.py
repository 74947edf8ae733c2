"""Kinds of neighbours beside each other: each is built and asked in processes of its own, which take turns."""

import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np

from ...errors import DataError
from ...files.json_files import read_json, write_json
from ...search.neighbours.exact import everywhere
from ...search.store.snapshot import Snapshot, open_snapshot
from ..speed.turns.process import Process
from .rows import write_rows
from .side import AT, BUILD, SEARCH, Built
from .vectors import NEAREST, SyntheticVectors, structure

SORTS = ("near", "far")
TURNS = 5
SHARES = (0.001, 0.01, 0.1, 0.5)
"""Of the rows, which a filter leaves"""
FILTERED = 5
"""Times fewer questions are asked with each filter"""


@dataclass
class Measured:
    """What was measured of a kind. milliseconds: {sort or `filter SHARE`: of single questions}; recall: {sort: at 10};
    batch: {sort: questions a second}; opening: seconds; resident: MiB after all questions, `library` before opening."""

    built: Built
    opening: float
    library: float
    milliseconds: dict[str, list[float]] = field(default_factory=dict)
    recall: dict[str, float] = field(default_factory=dict)
    batch: dict[str, float] = field(default_factory=dict)
    resident: float = 0.0

    def percentile(self, what: str, share: float) -> float:
        """Milliseconds that a share, in percent, of the questions took at most."""
        return float(np.percentile(self.milliseconds[what], share))

    def bytes(self) -> int:
        """Of the files."""
        return sum(facts["bytes"] for facts in self.built.record["files"].values())


def compare(
    folder: Path, rows: int, width: int, kinds: Sequence[str], count: int, note: Callable[[str], object]
) -> tuple[dict[str, dict[str, float]], dict[str, Measured]]:
    """({sort: structure of its questions}, {kind: what was measured}) of vectors in a folder.

    folder: for the index and what is built, which are taken from it where they are there already; DataError where those
    are of other sizes. count: questions of each sort.
    """
    snapshot = rows_in(folder / "index", rows, width, note)
    found = questions(snapshot, SyntheticVectors(rows, width), count, folder / "questions.npz", note)
    processes, measured = {}, {}
    try:
        for kind in kinds:
            built = built_in(folder, kind, note)
            job = {"folder": str(folder / "index"), "record": built.record, "place": str(folder / kind)}
            note(f"opening {kind}")
            processes[kind] = Process(kind, SEARCH, {**job, "questions": str(folder / "questions.npz")})
            told = processes[kind].told
            measured[kind] = Measured(built, told["seconds"], told["library"])
        ask(processes, measured, count, note)
    finally:
        for process in processes.values():
            process.close()
    return found, measured


def rows_in(folder: Path, rows: int, width: int, note: Callable[[str], object]) -> Snapshot:
    """The index of the vectors, made where there is none."""
    if not folder.exists():
        note(f"drawing {rows:,} vectors")
        return write_rows(folder, SyntheticVectors(rows, width))
    snapshot = open_snapshot(folder)
    if (len(snapshot.part("image")), snapshot.manifest.width) != (rows, width):
        raise DataError(f"{folder} has vectors of another number or width; name another folder, or remove it")
    return snapshot


def questions(
    snapshot: Snapshot, vectors: SyntheticVectors, count: int, path: Path, note: Callable[[str], object]
) -> dict[str, dict[str, float]]:
    """Write questions and their right answers to a file; {sort: structure}."""
    asked = vectors.questions(count)
    note("searching exactly")
    every = np.concatenate([asked[sort] for sort in SORTS])
    scores, ids = everywhere(snapshot.part("image").blocks(), every, min(max(NEAREST), vectors.rows))
    right = {f"right {sort}": one[:, :AT] for sort, one in zip(SORTS, np.split(ids, 2), strict=True)}
    np.savez(path, **asked, **right)
    return {sort: structure(one) for sort, one in zip(SORTS, np.split(scores, 2), strict=True)}


def built_in(folder: Path, kind: str, note: Callable[[str], object]) -> Built:
    """A kind as it was built before, or is now."""
    path = folder / f"{kind}.json"
    if path.is_file():
        return Built(**read_json(path))
    note(f"building {kind}")
    shutil.rmtree(folder / kind, ignore_errors=True)
    process = Process(kind, BUILD, {"folder": str(folder / "index"), "kind": kind, "place": str(folder / kind)})
    process.close()
    built = Built(**process.told)
    write_json(path, asdict(built))
    return built


def ask(
    processes: dict[str, Process], measured: dict[str, Measured], count: int, note: Callable[[str], object]
) -> None:
    """Ask all kinds in turns, a part of the questions at a time, and fill in what was measured."""
    each = count // TURNS
    part = max(1, each // FILTERED)
    for turn in range(TURNS):
        note(f"turn {turn + 1} of {TURNS}")
        for kind, process in processes.items():
            times = measured[kind].milliseconds
            for sort in SORTS:
                request = {"what": "one", "sort": sort, "rows": [turn * each, (turn + 1) * each]}
                times.setdefault(sort, []).extend(process.ask(request))
            for share in SHARES:
                request = {"what": "filter", "sort": "near", "share": share}
                request["rows"] = [turn * part, (turn + 1) * part]
                times.setdefault(f"filter {share:g}", []).extend(process.ask(request))
    for kind, process in processes.items():
        for sort in SORTS:
            measured[kind].recall[sort] = process.ask({"what": "recall", "sort": sort})
            measured[kind].batch[sort] = process.ask({"what": "batch", "sort": sort})
        measured[kind].resident = process.ask({"what": "memory"})

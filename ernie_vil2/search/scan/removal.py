"""Pictures that are taken out of an index, and stay out though their files lie where they were."""

import fnmatch
import glob
import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from ...errors import DataError
from ...messages import quoted
from ..store.part import Part
from ..store.writer import Writer
from .fault import Faults

LEFT_OUT = "left_out"
"""Key of a root of a manifest: patterns of what is passed over in it"""
ESCAPED = re.compile(r"\[([*?[])\]")
"""A character that stands for itself in a pattern"""
BLOCK = 65536
LeftOut = Callable[[str], object]


def never(key: str) -> bool:
    """No key is left out."""
    return False


def pattern_of(patterns: Collection[str]) -> LeftOut:
    """Whether a key, or the path of a file, is like one of some patterns, in which `*` stands for / too."""
    if not patterns:
        return never
    names = {pattern: ESCAPED.sub(r"\1", pattern) for pattern in patterns}
    names = {pattern: name for pattern, name in names.items() if glob.escape(name) == pattern}
    exact, others = set(names.values()), [pattern for pattern in patterns if pattern not in names]
    if not others:
        return exact.__contains__
    match = re.compile("|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in others)).match
    return lambda key: key in exact or match(key)


def take_out(writer: Writer, root: int | None, patterns: Sequence[str], ids: Sequence[int]) -> int:
    """Remove pictures, and commit; how many. root: of which, None for all; patterns: of their keys; ids: their own;
    with neither, the whole root goes and is forgotten. What is named is passed over by later scans; with a frame goes
    its whole video, which is one file. What was taken out before, perhaps by a command that was killed, is none;
    DataError where nothing was ever found."""
    part = writer.snapshot.images
    rows = np.flatnonzero(part.live)
    roots = part.table.column("root").to_numpy()[rows]
    chosen = np.ones(len(rows), bool) if root is None else roots == root
    if ids:
        known = np.isin(np.array(ids), np.concatenate([part.ids[rows[chosen]], writer.snapshot.removed]))
        if not known.all():
            missing = np.array(ids)[~known][0]
            raise DataError(f"the index {writer.folder} has no picture {missing}; search again for its number")
        chosen &= np.isin(part.ids[rows], ids)
    if patterns:
        chosen &= matching(files_of(part, part.ids[rows]), patterns)
    if not chosen.any() and (patterns or ids):
        records = [record for number, record in writer.manifest.roots.items() if root in (None, number)]
        if set(patterns) <= {pattern for record in records for pattern in record.get(LEFT_OUT, ())}:
            return 0
        what = " or ".join(map(quoted, patterns))
        raise DataError(f"no picture of {writer.folder} is like {what}; correct the pattern")
    named = part.ids[rows[chosen]]
    if ids and part.take(named, ["time"]).column("time").null_count < len(named):
        files = list(zip(roots.tolist(), files_of(part, part.ids[rows]), strict=True))
        videos = {file for file, own in zip(files, chosen.tolist(), strict=True) if own}
        chosen = np.array([file in videos for file in files])
    gone = part.ids[rows[chosen]]
    found = writer.manifest.roots
    if ids:
        patterns = sorted({glob.escape(key) for key in files_of(part, gone)})
    if patterns:
        touched = set(np.unique(roots[chosen]).tolist())
        found = {number: leave_out(record, patterns, number in touched) for number, record in found.items()}
    elif root is not None:
        found = {number: record for number, record in found.items() if number != root}
        faults = Faults(writer.folder)
        faults.forget(root)
        faults.write()
    writer.manifest = writer.manifest.replaced(roots=found)
    writer.remove(gone)
    writer.commit()
    return len(gone)


def files_of(part: Part, ids: np.ndarray) -> Iterator[str]:
    """The keys of pictures, or for a frame that of its video."""
    for first in range(0, len(ids), BLOCK):
        table = part.take(ids[first : first + BLOCK], ["key", "time"])
        for key, time in zip(*(table.column(name).to_pylist() for name in ("key", "time")), strict=True):
            yield key if time is None else key.rpartition("@")[0]


def matching(keys: Iterator[str], patterns: Sequence[str]) -> np.ndarray:
    """bool [n]: which keys are like a pattern."""
    match = pattern_of(patterns)
    return np.fromiter((bool(match(key)) for key in keys), bool)


def leave_out(record: dict, patterns: Sequence[str], touched: bool) -> dict:
    """The record of a root, which passes over these patterns too where it is touched by them."""
    return {**record, LEFT_OUT: sorted({*record.get(LEFT_OUT, ()), *patterns})} if touched else record


def pass_over_too(writer: Writer, roots: Iterable[Mapping[str, Any]]) -> None:
    """Pass over what these roots of another index do, with the next commit."""
    for root in roots:
        if LEFT_OUT in root:
            number = writer.root(root["spec"], root["folder"], root["kind"])
            own = {**writer.manifest.roots[number], LEFT_OUT: root[LEFT_OUT]}
            writer.manifest = writer.manifest.replaced(roots={**writer.manifest.roots, number: own})


def take_back(writer: Writer, number: int) -> None:
    """Pass over nothing of a root any more, with the next commit: it was named anew."""
    roots = dict(writer.manifest.roots)
    if number in roots and LEFT_OUT in roots[number]:
        roots[number] = {key: value for key, value in roots[number].items() if key != LEFT_OUT}
        writer.manifest = writer.manifest.replaced(roots=roots)

"""Pictures that are nearly the same, in groups: every member is within the threshold of the group's first picture.

Pictures are taken by falling size (pixels, then bytes, then the lowest id). One that is in no group yet begins one, and
takes all later ones that are in none and whose cosine with it is at least the threshold. So a chain of pictures, each
like the next, does not end as one group of unlike ones, and which picture stands first says which to keep. Exact copies
are found by the digests of their contents, before any cosine. Frames of one video are never each other's copies.

All pairs are compared, without an approximation: `near_pairs.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from .near_pairs import Projection, Taken, first_leaders

if TYPE_CHECKING:
    from .store.snapshot import Part

COLUMNS = ["root", "path", "width", "height", "size", "time", "digest"]
BLOCK = 1024
"""Pictures that begin groups side by side"""
Progress = Callable[[int, int], object]
"""Called with (pairs compared, all pairs)"""


@dataclass(frozen=True)
class Group:
    """ids: int64 [n], the first is the picture that the others are like. scores: float32 [n], cosines with it, by which
    the others fall. exact: bool [n], whether a picture has the very content of the first."""

    ids: np.ndarray
    scores: np.ndarray
    exact: np.ndarray


@dataclass(frozen=True)
class Pictures:
    """What is known of pictures [N], the largest first. ids; content: equal numbers for equal content; video: equal
    numbers for frames of one video, -1 for pictures; all int64."""

    ids: np.ndarray
    content: np.ndarray
    video: np.ndarray


def duplicate_groups(
    part: "Part", threshold: float, allowed: np.ndarray | None = None, progress: Progress | None = None
) -> list[Group]:
    """The Groups of two pictures and more of an index's pictures, those with most members first.

    threshold: a cosine. allowed: int64 ids to look at, by default all. Memory grows by some hundred bytes a picture.
    """
    ids = part.live_ids()
    pictures = described(part, ids if allowed is None else np.intersect1d(ids, allowed))
    if not len(pictures.ids):
        return []
    _, first, copy_of = np.unique(pictures.content, return_index=True, return_inverse=True)
    kept = np.sort(first)  # of equal contents the first stands for all
    place = np.searchsorted(kept, first)[copy_of.reshape(-1)]
    taken = leaders(
        part, Pictures(pictures.ids[kept], pictures.content[kept], pictures.video[kept]), threshold, progress
    )
    leader, score = kept[taken.leader[place]], taken.score[place]
    others = np.arange(len(leader)) != leader
    order = np.lexsort((np.arange(len(leader)), -score, others, leader))
    order = order[np.bincount(leader)[leader[order]] > 1]
    groups = []
    for rows in np.split(order, np.flatnonzero(np.diff(leader[order])) + 1) if len(order) else ():
        exact = pictures.content[rows] == pictures.content[rows[0]]
        groups.append(Group(pictures.ids[rows], score[rows], exact))
    return sorted(groups, key=lambda group: (-len(group.ids), group.ids[0]))


def described(part: "Part", ids: np.ndarray) -> Pictures:
    """The Pictures of these ids."""
    table = part.take(ids, COLUMNS)
    pixels = pc.multiply(table["width"].cast(pa.int64()), table["height"].cast(pa.int64()))
    order = np.lexsort((ids, *(-numbers(column) for column in (table["size"], pixels))))
    time = numbers(table["time"].fill_null(-1))
    digest, file = codes(table["digest"]), codes(table["path"])
    known = np.asarray(pc.greater(pc.binary_length(table["digest"]), 0).fill_null(False))
    own = -1 - np.arange(len(ids))  # a picture without a digest has content of its own
    content = np.unique(np.stack([np.where(known, digest, own), time]), axis=1, return_inverse=True)[1].reshape(-1)
    videos = np.unique(np.stack([numbers(table["root"]), file]), axis=1, return_inverse=True)[1].reshape(-1)
    return Pictures(ids[order], content[order], np.where(time >= 0, videos, -1)[order])


def numbers(column: pa.ChunkedArray) -> np.ndarray:
    """A column of whole numbers as int64 [N]."""
    return column.to_numpy().astype(np.int64)


def codes(column: pa.ChunkedArray) -> np.ndarray:
    """int64 [N]: equal numbers, from 0, for equal values of a column."""
    return numbers(column.combine_chunks().dictionary_encode().indices.fill_null(-1))


def leaders(part: "Part", pictures: Pictures, threshold: float, progress: Progress | None = None) -> Taken:
    """For Pictures [N] of different contents, by falling size: whose group each is in, and its cosine with that one."""
    count = len(pictures.ids)
    projection = Projection(part, pictures.ids, threshold)
    taken = Taken(count)
    for start in range(0, count, BLOCK):
        block = start + np.flatnonzero(taken.leader[start : start + BLOCK] < 0)
        vectors = projection.vectors(block)
        among_block(block, vectors, pictures.video, projection.threshold, taken)
        alone = taken.leader[block] == block
        later = start + BLOCK + np.flatnonzero(taken.leader[start + BLOCK :] < 0)
        first_leaders(projection, block[alone], vectors[alone], later, pictures.video, taken)
        if progress:
            rest = max(0, count - start - BLOCK)
            progress(count * count - rest * rest, count * count)
    return taken


def among_block(block: np.ndarray, vectors: np.ndarray, video: np.ndarray, threshold: float, taken: Taken) -> None:
    """Decide who begins a group among pictures int64 [n] that are in none, with float32 vectors [n, D]."""
    scores = vectors @ vectors.T
    near = np.triu(scores >= threshold, 1) & differ(video[block], video[block])
    free = np.ones(len(block), bool)
    for row in np.flatnonzero(near.any(axis=1)):
        if free[row]:
            members = np.flatnonzero(near[row] & free)
            free[members] = False
            taken.put(block[members], block[row], scores[row, members])
    taken.put(block[free], block[free], 1.0)


def differ(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """bool [n, m]: whether pictures are not frames of the same video."""
    return (one[:, None] != other[None]) | (one[:, None] < 0)

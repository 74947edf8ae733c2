"""A folder as it is against what an index has of it: which files are to be read, and which are gone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from ..fault import Fault
from ..known import KnownFiles
from .listing import Listing


@dataclass(frozen=True)
class Difference:
    """fresh: int64 [n], files of the listing that are new or have another size or time; edited: int64 [n], which known
    file each of them was, -1 for a new path; gone: int64 [m], known files whose path is not there; same, bad: how many
    files are as they were, in the index or among its faults; lost: faults of files that are not there."""

    fresh: np.ndarray
    edited: np.ndarray
    gone: np.ndarray
    same: int
    bad: int
    lost: list[Fault]


def compare(listing: Listing, known: KnownFiles, faults: Sequence[Fault] = ()) -> Difference:
    """The Difference of a listing from the known files. faults: of files that were tried, and are not tried again
    before they change. What lies in a folder that could not be looked into counts as neither there nor gone: leave it
    to `below`."""
    hashes = listing.hashes()
    sizes, mtimes = np.frombuffer(listing.sizes, np.int64), np.frombuffer(listing.mtimes, np.int64)
    places = known.places(hashes)
    same = places >= 0
    same[same] = (known.sizes[places[same]] == sizes[same]) & (known.mtimes[places[same]] == mtimes[same])
    tried = {hash(fault.path): (fault.size, fault.mtime) for fault in faults if not fault.again}
    bad = np.zeros(len(listing), bool)
    if tried:
        for row in np.flatnonzero(~same & np.isin(hashes, np.fromiter(tried, np.int64, len(tried)))):
            bad[row] = tried[int(hashes[row])] == (sizes[row], mtimes[row])
    there = set(hashes[np.isin(hashes, [hash(fault.path) for fault in faults])].tolist()) if faults else set()
    fresh = np.flatnonzero(~same & ~bad)
    gone = np.flatnonzero(~np.isin(known.hashes, hashes))
    lost = [fault for fault in faults if hash(fault.path) not in there]
    return Difference(fresh, places[fresh], gone, int(same.sum()), int(bad.sum()), lost)


def below(path: bytes, folders: Iterable[bytes]) -> bool:
    """Whether a path lies in one of these folders, of which an empty one is the whole."""
    return any(not folder or path.startswith(folder + b"/") for folder in folders)

"""What FAISS finds: ids that are worth to be scored exactly, by the kind of an index and the rows that may be found."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from .kinds import lists_of

if TYPE_CHECKING:
    import faiss


class Selection:
    """Ids that may be found, as a bit each. ids: sorted int64. total: rows that they were chosen from."""

    def __init__(self, ids: np.ndarray, total: int) -> None:
        import faiss

        self.count, self.share = len(ids), len(ids) / max(1, total)
        bits = np.zeros(int(ids[-1]) + 1 if len(ids) else 8, np.uint8)
        bits[ids] = 1
        self.bits = np.packbits(bits, bitorder="little")
        self.selector = faiss.IDSelectorBitmap(self.bits)


def candidates(
    index: faiss.Index,
    queries: np.ndarray,
    count: int,
    options: Mapping[str, Any],
    among: Selection | None = None,
    wider: float = 1,
) -> np.ndarray:
    """The ids of `count` rows that are probably nearest to each query: int64 [q, count], -1 where there are fewer.

    options: `probes` of lists, or `sight` in a graph. wider: so many times as many of them; where only the rows of a
    selection count, it is divided by their share.
    """
    if among is not None:
        wider /= max(among.share, 1e-9)
    with kernel_threads(1 if len(queries) == 1 else 0):
        return index.search(queries, count, params=parameters(index, count, options, among, wider))[1]


def parameters(
    index: faiss.Index, count: int, options: Mapping[str, Any], among: Selection | None, wider: float
) -> faiss.SearchParameters:
    """How FAISS is to search, for this call alone, so that threads do not disturb each other."""
    import faiss

    chosen = {} if among is None else {"sel": among.selector}
    lists = lists_of(index)
    if lists is not None:
        probes = max(1, round(min(lists.nlist, wider * options["probes"])))
        found = faiss.SearchParametersIVF(nprobe=probes, **chosen)
        return faiss.SearchParametersPreTransform(index_params=found) if "dims" in options else found
    if "sight" in options:
        sight = max(count, round(min(index.ntotal, wider * options["sight"])))
        return faiss.SearchParametersHNSW(efSearch=sight, **chosen)
    return faiss.SearchParameters(**chosen)


@contextlib.contextmanager
def kernel_threads(count: int) -> Iterator[None]:
    """Let FAISS use so many threads for calls from this thread; 0: as many as before.

    One query is sooner done by one thread: a second one waits for a core, whatever else the machine does.
    """
    import faiss

    before = faiss.omp_get_max_threads()
    if count:
        faiss.omp_set_num_threads(count)
    try:
        yield
    finally:
        faiss.omp_set_num_threads(before)

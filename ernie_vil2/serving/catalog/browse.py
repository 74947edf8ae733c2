"""Pictures without a question: the newest first.

The order of an index takes 4 bytes a picture, and is made once for each state of it; a filter keeps no more of it than
pages reach.
"""

import numpy as np
import pyarrow.compute as pc

from ...search.query.ranking import DEEPEST
from ...search.store.part import Part

UNDATED = np.iinfo(np.int64).min


def newest_first(part: Part) -> np.ndarray:
    """int32 [n]: which of `part.live_ids()` comes first, second, ...: by falling date, then by falling id; at the
    end those without a date."""
    ids = part.live_ids()
    dates = pc.fill_null(part.table.column("date"), UNDATED).to_numpy()[part.table_rows(ids)]
    part.release()
    return np.lexsort((ids, dates))[::-1].astype(np.int32)


def first_of(part: Part, order: np.ndarray, allowed: np.ndarray | None) -> tuple[np.ndarray, int]:
    """(int64 ids of the first pictures of an order, DEEPEST at most; how many there are). allowed: ascending ids that
    count, None for all."""
    ids = part.live_ids()
    if allowed is None:
        return ids[order[:DEEPEST]], len(ids)
    counts = np.zeros(len(ids), bool)
    counts[np.searchsorted(ids, allowed)] = True
    return ids[order[counts[order]][:DEEPEST]], len(allowed)

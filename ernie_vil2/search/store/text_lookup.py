"""Which texts an index has: the ids of captions and tags, found by a hash of each, 16 bytes a text in memory."""

import numpy as np
import pyarrow as pa

from .part import Part, numbers


class TextLookup:
    """Ids of texts by their kind and text: those of a snapshot, and those that were added after it."""

    def __init__(self, texts: Part) -> None:
        self.texts = texts
        count = int(texts.starts[-1])
        hashes = np.empty(count, np.int64)
        first = 0
        for batch in texts.rows.batches:
            pairs = zip(batch.column("kind").to_pylist(), batch.column("text").to_pylist(), strict=True)
            hashes[first : first + batch.num_rows] = [hash(pair) for pair in pairs]
            first += batch.num_rows
        self.order = np.argsort(hashes, kind="stable")
        self.hashes = hashes[self.order]
        self.added: dict[tuple[str, str], int] = {}

    def find(self, kind: str, text: str) -> int | None:
        """The id of a text, whether a picture has it now or not; None where there is none."""
        pair = kind, text
        if pair in self.added:
            return self.added[pair]
        value = hash(pair)
        first, stop = (int(np.searchsorted(self.hashes, value, side)) for side in ("left", "right"))
        for row in self.order[first:stop]:
            batch = self.texts.rows.take(np.array([row]), None, self.texts.schema)
            if (batch.column("kind")[0].as_py(), batch.column("text")[0].as_py()) == pair:
                return batch.column("id")[0].as_py()
        return None

    def note(self, table: pa.Table) -> None:
        """Know the texts of a table too, of which the first one of several holds."""
        columns = (table.column(name).to_pylist() for name in ("kind", "text"))
        for kind, text, number in zip(*columns, numbers(table.column("id")).tolist(), strict=True):
            self.added.setdefault((kind, text), number)

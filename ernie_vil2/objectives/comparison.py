"""What a pair of views compares: logits tile by tile, with what is a positive in each and what is absent."""

from collections.abc import Iterator

import numpy as np
import paddle

from .log_sums import Tile
from .positives import Labels, positives
from .tiles import ABSENT, cast, spread, tile_parts, wide


class Comparison:
    """Rows of one view against columns of another.

    rows, columns: Labels of both; first, second: names of the views; rule: `objective.positives`; needed: the views
    that a column must have, by default both. here, there: float32 [b] and [B], 0 for samples that lack what they need
    and else 1, or None where every one has it.
    """

    def __init__(
        self, rows: Labels, columns: Labels, first: str, second: str, rule: str, needed: tuple[str, ...] = ()
    ) -> None:
        self.views, self.rule, self.needed = (first, second), rule, needed or (first, second)
        self.row_parts, self.column_parts = tile_parts(len(rows), len(columns))
        self.rows = [rows.part(part) for part in self.row_parts]
        self.columns = [columns.part(part) for part in self.column_parts]
        self.here, self.there = number(rows.having(first, second)), number(columns.having(*self.needed))

    def tiles(self, x: paddle.Tensor, y: paddle.Tensor, scale: paddle.Tensor) -> Iterator[Tile]:
        """Tiles of scale * x @ y.T, x [b, D] and y [B, D]: all columns of a part of the rows, then the next part."""
        kind = wide()
        for i, rows in enumerate(self.row_parts):
            own = cast(x[rows], kind) * cast(scale, kind)
            for j, columns in enumerate(self.column_parts):
                logits = paddle.matmul(own, cast(y[columns], kind), transpose_y=True)
                for flags, part, axis in ((self.here, rows, 1), (self.there, columns, 0)):
                    if flags is not None:
                        logits = logits + spread(cast((1.0 - flags[part]) * ABSENT, kind), logits, axis)
                same = self._same(i, j)
                if same is None:
                    yield Tile(rows, columns, logits)
                else:
                    same = cast(same, kind)
                    other = 1.0 - same
                    yield Tile(rows, columns, logits * other + same * ABSENT, logits * same + other * ABSENT, same)

    def _same(self, i: int, j: int) -> paddle.Tensor | None:
        """float32 [r, c], 1 for positives, of a tile; None where there is none, which no card is asked."""
        rows, columns = self.rows[i], self.columns[j]
        same = positives(rows, columns, *self.views, self.rule)
        for flags, axis in ((rows.having(*self.views), 1), (columns.having(*self.needed), 0)):
            if flags is not None:
                same = same & (flags[:, None] if axis else flags[None, :])
        return number(same) if not isinstance(same, np.ndarray) or same.any() else None


def number(flags: np.ndarray | paddle.Tensor | None) -> paddle.Tensor | None:
    """Truth values, array or tensor, as float32 tensor."""
    if flags is None:
        return None
    return paddle.to_tensor(flags.astype(np.float32)) if isinstance(flags, np.ndarray) else flags.astype("float32")

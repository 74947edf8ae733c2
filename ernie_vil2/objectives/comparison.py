"""What a pair of views compares: logits tile by tile, with what is a positive in each and what is absent."""

from collections.abc import Iterator, Sequence

import numpy as np
import paddle

from .log_sums import Tile
from .positives import Labels, positives
from .tiles import ABSENT, cast, logit_type, spread, tile_parts


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
        self.dtype = logit_type(len(rows) * len(columns))
        self.row_parts, self.column_parts = tile_parts(len(rows), len(columns))
        self.rows, self.columns = divided(rows, self.row_parts), divided(columns, self.column_parts)
        self.here, self.there = number(rows.having(first, second)), number(columns.having(*self.needed))

    def tiles(self, x: paddle.Tensor, y: paddle.Tensor, scale: paddle.Tensor) -> Iterator[Tile]:
        """Tiles of scale * x @ y.T, x [b, D] and y [B, D]: all columns of a part of the rows, then the next part."""
        kind = self.dtype
        scale = cast(scale, kind)
        absent = [
            None if flags is None else (cast(flags, kind).unsqueeze(0) - 1.0) * -ABSENT
            for flags in (self.there, self.here)
        ]
        for i, rows in enumerate(self.row_parts):
            own = cast(part_of(x, rows), kind) * scale
            for j, columns in enumerate(self.column_parts):
                logits = paddle.matmul(own, cast(part_of(y, columns), kind), transpose_y=True).unsqueeze(0)
                for axis, part in enumerate((columns, rows)):
                    if absent[axis] is not None:
                        logits = logits + spread(absent[axis][:, part], logits, axis)
                same = self._same(i, j)
                if same is None:
                    yield Tile(rows, columns, logits)
                    continue
                same = same.unsqueeze(0)
                apart = [paddle.masked_fill(logits, flags, ABSENT) for flags in (same, ~same)]
                yield Tile(rows, columns, paddle.concat(apart), cast(same, kind))

    def _same(self, i: int, j: int) -> paddle.Tensor | None:
        """bool [r, c]: the positives of a tile; None where there is none, which no card is asked."""
        rows, columns = self.rows[i], self.columns[j]
        same = positives(rows, columns, *self.views, self.rule)
        for flags, axis in ((rows.having(*self.views), 1), (columns.having(*self.needed), 0)):
            if flags is not None:
                same = same & (flags[:, None] if axis else flags[None, :])
        if not isinstance(same, np.ndarray):
            return same
        return paddle.to_tensor(same) if same.any() else None


def relations(rows: Labels, columns: Labels, first: str, second: str, rule: str) -> tuple[paddle.Tensor, paddle.Tensor]:
    """bool [b, B] twice, in one piece: the positives, and all that may be compared, where both have both views."""
    known = paddle.ones([len(rows), len(columns)], "bool")
    for labels, axis in ((rows, 1), (columns, 0)):
        flags = number(labels.having(first, second))
        if flags is not None:
            known = known & flags.astype("bool").unsqueeze(axis)
    same = positives(rows, columns, first, second, rule)
    return (paddle.to_tensor(same) if isinstance(same, np.ndarray) else same) & known, known


def divided(labels: Labels, parts: Sequence[slice]) -> list[Labels]:
    """The Labels of each part."""
    return [labels] if len(parts) == 1 else [labels.part(part) for part in parts]


def part_of(rows: paddle.Tensor, part: slice) -> paddle.Tensor:
    """Some rows of [n, D]; all of them are the tensor itself."""
    return rows if part.stop - part.start == rows.shape[0] else rows[part]


def number(flags: np.ndarray | paddle.Tensor | None) -> paddle.Tensor | None:
    """Truth values, array or tensor, as float32 tensor."""
    if flags is None:
        return None
    return paddle.to_tensor(flags.astype(np.float32)) if isinstance(flags, np.ndarray) else flags.astype("float32")

"""Which samples of a global batch belong together: same image, or same text where the pair holds that text."""

from dataclasses import dataclass

import numpy as np
import paddle

from ..data.batches.views import Batch
from .gather import Share, all_rows
from .views import TEXT_VIEWS


@dataclass
class Labels:
    """What decides on positives, of the rows of one rank or of the whole batch.

    image_ids int64 [N]; text_ids {view: int64 [N]}; present {view: bool [N]}; place int64 [N] in the global batch.
    """

    image_ids: np.ndarray
    text_ids: dict
    present: dict
    place: np.ndarray

    def __len__(self):
        return len(self.image_ids)

    def on_device(self) -> "Labels":
        """The same as tensors: b x B comparisons are work for the card, not for the host."""
        return Labels(
            paddle.to_tensor(self.image_ids),
            {view: paddle.to_tensor(ids) for view, ids in self.text_ids.items()},
            {view: paddle.to_tensor(flags) for view, flags in self.present.items()},
            paddle.to_tensor(self.place),
        )

    def both(self, first: str, second: str) -> np.ndarray:
        """bool [N]: whether a sample has both views."""
        everywhere = np.ones(len(self), bool)
        return self.present.get(first, everywhere) & self.present.get(second, everywhere)


def labels_of(batch: Batch, share: Share) -> tuple[Labels, Labels]:
    """(Labels of this rank's rows, Labels of the whole batch): one all-gather of whole numbers."""
    place = share.start + np.arange(len(batch))
    own = Labels(batch.image_ids, batch.text_ids, batch.present, place)
    if share.alone:
        return own, own
    texts, present = sorted(batch.text_ids), sorted(batch.present)
    columns = [own.image_ids, *(own.text_ids[view] for view in texts), *(own.present[view] for view in present), place]
    table = all_rows(paddle.to_tensor(np.stack([np.asarray(column, np.int64) for column in columns], 1)), share)
    image_ids, *rest, places = table.numpy().T
    flags = rest[len(texts) :]
    return own, Labels(
        image_ids,
        dict(zip(texts, rest, strict=False)),
        {view: flag.astype(bool) for view, flag in zip(present, flags, strict=True)},
        places,
    )


def positives(
    rows: Labels, columns: Labels, first: str, second: str, rule: str = "by_id"
) -> np.ndarray | paddle.Tensor:
    """bool [b, B]: whether column j of view `second` is a positive of row i of view `first`; arrays or tensors."""
    if rule == "one":
        return rows.place[:, None] == columns.place[None, :]
    same = rows.image_ids[:, None] == columns.image_ids[None, :]
    texts = [view for view in (first, second) if view in TEXT_VIEWS]
    for view in texts:
        same = same | (rows.text_ids[view][:, None] == columns.text_ids[view][None, :])
    if len(texts) == 2:
        same = same | (rows.text_ids[first][:, None] == columns.text_ids[second][None, :])
    return same


def targets(same: paddle.Tensor, hidden: paddle.Tensor | None) -> paddle.Tensor:
    """float32 [b, B]: uniform over the positives bool [b, B] that are not hidden; a row without any is zero."""
    same = (same if hidden is None else same & ~hidden).astype("float32")
    return same / paddle.clip(same.sum(1, keepdim=True), min=1.0)

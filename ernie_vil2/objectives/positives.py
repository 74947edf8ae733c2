"""Which samples of a global batch belong together: same image, or same text where the pair holds that text."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle

from ..data.batches.views import Batch
from ..device import current_device, host_array
from .gather import Share, all_rows
from .views import TEXT_VIEWS


@dataclass
class Labels:
    """What decides on positives, of the rows of one rank or of the whole batch; arrays, or tensors on the device.

    image_ids int64 [N]; text_ids {view: int64 [N]}; present {view: bool [N]}; place int64 [N] in the global batch.
    """

    image_ids: np.ndarray | paddle.Tensor
    text_ids: dict
    present: dict
    place: np.ndarray | paddle.Tensor

    def __len__(self):
        return len(self.image_ids)

    def part(self, part: slice) -> "Labels":
        """Those of some samples."""
        texts, present = ({view: each[part] for view, each in of.items()} for of in (self.text_ids, self.present))
        return Labels(self.image_ids[part], texts, present, self.place[part])

    def both(self, first: str, second: str) -> np.ndarray:
        """bool [N]: whether a sample has both views; for arrays."""
        found = self.having(first, second)
        return np.ones(len(self), bool) if found is None else found

    def having(self, *views: str) -> np.ndarray | paddle.Tensor | None:
        """bool [N]: whether a sample has one or two views, or None where every sample is known to have them."""
        flags = [self.present[view] for view in views if view in self.present]
        return (flags[0] if len(flags) == 1 else flags[0] & flags[1]) if flags else None


def label_table(batch: Batch, share: Share) -> tuple[np.ndarray, list[str], list[str]]:
    """(int64 [n, columns], views of the hashes of texts in it, views of the flags): image ids, hashes, flags, places.

    A rank by itself leaves out views that every sample has; others cannot know it of each other.
    """
    texts = sorted(batch.text_ids)
    present = sorted(view for view, flags in batch.present.items() if not (share.alone and flags.all()))
    columns = [batch.image_ids, *(batch.text_ids[view] for view in texts), *(batch.present[view] for view in present)]
    columns.append(share.start + np.arange(len(batch)))
    return np.stack([np.asarray(column, np.int64) for column in columns], 1), texts, present


def labels_from(columns: list[Any], texts: list[str], present: list[str]) -> Labels:
    """Labels out of the columns of a table, arrays or tensors int64 [N]."""
    flags = columns[1 + len(texts) : -1]
    return Labels(
        columns[0],
        dict(zip(texts, columns[1:], strict=False)),
        {view: flag.astype("bool") for view, flag in zip(present, flags, strict=True)},
        columns[-1],
    )


def labels_of(batch: Batch, share: Share) -> tuple[Labels, Labels]:
    """(Labels of this rank's rows, Labels of the whole batch) as arrays: with several ranks the host waits for them."""
    place = share.start + np.arange(len(batch))
    present = {view: flags for view, flags in batch.present.items() if not (share.alone and flags.all())}
    own = Labels(batch.image_ids, batch.text_ids, present, place)
    if share.alone:
        return own, own
    table, *views = label_table(batch, share)
    return own, labels_from(list(host_array(all_rows(paddle.to_tensor(table), share)).T), *views)


def device_labels(batch: Batch, share: Share) -> tuple[Labels, Labels]:
    """(Labels of this rank's rows, Labels of the whole batch): one all-gather, and the host waits for nothing.

    On a card tensors, after one copy; on a CPU arrays, which NumPy compares ten times as fast.
    """
    if current_device().is_cpu:
        return labels_of(batch, share)
    table, *views = label_table(batch, share)
    own = paddle.to_tensor(table)
    rows = labels_from(paddle.unbind(own, 1), *views)
    return rows, rows if share.alone else labels_from(paddle.unbind(all_rows(own, share), 1), *views)


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

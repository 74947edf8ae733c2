"""The contrastive objective over a weighted list of pairs of views: loss = sum(w_i l_i) / sum(w_i).

Rows are those of this rank, columns those of all ranks; logits are computed in tiles and never kept. What
`ContrastiveObjective.loss` returns is this rank's summand: the sum over ranks is the value on the global batch, and so
is the sum of gradients. The target of a row is uniform over its positives. References: CLIP (arXiv 2103.00020),
ERNIE-ViL 2.0 (2209.15270).
"""

import math
from collections.abc import Mapping

import paddle
from paddle import nn

from ..config.losses import made_loss
from ..config.run import ObjectiveConfig, QueueNegatives
from ..data.batches.views import Batch
from .comparison import Comparison, number
from .gather import Share, divide, gather_rows
from .info_nce import info_nce
from .log_sums import SMALLEST
from .negative_queue import NegativeQueue
from .positives import Labels, device_labels
from .queue_nce import Queried, queue_nce
from .registry import both_ways
from .sigmoid import sigmoid_loss
from .views import group_of


class ContrastiveObjective:
    """`loss(embeds, batch, model, share)` over the configured pairs; `views` are what it needs, `groups` its
    temperatures, `biased` whether they need a bias. queue: the NegativeQueue, which has the keys before `loss`, or None
    where negatives are those of the batch; seed: of its start."""

    def __init__(self, config: ObjectiveConfig, seed: int = 0) -> None:
        self.pairs = config.weighted_pairs()
        self.rule = config.positives
        self.views = tuple(dict.fromkeys(view for pair in self.pairs for view in pair[:2]))
        groups = {group_of(first, second) for first, second, _ in self.pairs}
        self.groups = tuple(group for group in ("mm", "ii", "tt") if group in groups or group == "mm")
        self.biased, self.own = config.loss == "sigmoid", made_loss(config.loss, config.settings)
        queued = isinstance(config.negatives, QueueNegatives)
        self.queue = NegativeQueue(config.negatives.size, seed) if queued else None

    def loss(
        self, embeds: Mapping[str, paddle.Tensor], batch: Batch, model: nn.Layer, share: Share | None = None
    ) -> dict[str, paddle.Tensor]:
        """{"loss": scalar, "first-second": scalar ...} from {view: normalised embeds [b, D]} of this rank's rows.

        share: which rows of the global batch these are; None for all. A pair of which no sample of the global batch
        has both views does not count: its own scalar is nan, and the loss is 0 where there is no other. It is found out
        on the device, since no rank knows the samples of the others.
        """
        share = share or divide(len(batch))
        rows, columns = device_labels(batch, share)
        if self.queue is None:
            found = self._against_batch(embeds, rows, columns, model, share)
        else:
            found = self._against_queue(self.queue, embeds, rows, model)
            self.queue.gather(columns, share)
        parts, total, weights = {}, 0.0, 0.0
        for (first, second, weight), part in zip(self.pairs, found, strict=True):
            there = number(columns.having(first, second))
            if there is None:
                part, shown = part / share.total, part.detach() / share.total
            else:
                count = there.sum()
                part = part / paddle.clip(count, min=1.0)
                shown = part.detach() + paddle.where(count > 0, 0.0, math.nan)
                weight = weight * (count > 0).astype("float32")
            total, weights = total + weight * part, weights + weight
            parts[f"{first}-{second}"] = shown
        if isinstance(weights, paddle.Tensor):
            weights = paddle.clip(weights, min=SMALLEST)
        return {"loss": total / weights, **parts}

    def _against_batch(
        self, embeds: Mapping[str, paddle.Tensor], rows: Labels, columns: Labels, model: nn.Layer, share: Share
    ) -> list[paddle.Tensor]:
        """[scalar] of each pair, summed over this rank's rows: all samples of the batch against each other."""
        if self.own is not None:
            every = gathered({view: embeds[view] for view in self.views}, share)
            return [
                both_ways(self.own, pair, self.rule, (rows, columns), embeds, every, model.logit_scale(group_of(*pair)))
                for *pair, _ in self.pairs
            ]
        every = gathered({view: embeds[view] for view in dict.fromkeys(second for _, second, _ in self.pairs)}, share)
        compared = [
            (Comparison(rows, columns, first, second, self.rule), embeds[first], every[second], group_of(first, second))
            for first, second, _ in self.pairs
        ]
        if self.biased:
            return [sigmoid_loss(*item, model.logit_scale(group), model.logit_bias(group)) for *item, group in compared]
        return list(info_nce([(*item, model.logit_scale(group)) for *item, group in compared], share))

    def _against_queue(
        self, queue: NegativeQueue, embeds: Mapping[str, paddle.Tensor], rows: Labels, model: nn.Layer
    ) -> list[paddle.Tensor]:
        """[scalar] of each pair, half of both ways, summed over this rank's rows."""
        queries = []
        for first, second, _ in self.pairs:
            scale = model.logit_scale(group_of(first, second))
            for query, key in ((first, second), (second, first)):
                comparison = Comparison(rows, queue.labels, query, key, self.rule, (key,))
                queries.append((Queried(comparison, queue.keys[key], queue.embeds[key]), embeds[query], scale))
        return list(queue_nce(queries).reshape([-1, 2]).sum(1) / 2.0)


def gathered(embeds: Mapping[str, paddle.Tensor], share: Share) -> Mapping[str, paddle.Tensor]:
    """{view: [B, D]} of all ranks from {view: [b, D]}; one collective for all views."""
    if share.alone:
        return embeds
    stacked = gather_rows(paddle.stack(list(embeds.values()), axis=1), share)
    return {view: stacked[:, place] for place, view in enumerate(embeds)}

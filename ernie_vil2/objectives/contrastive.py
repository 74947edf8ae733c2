"""The contrastive objective over a weighted list of pairs of views: loss = sum(w_i l_i) / sum(w_i).

Rows are those of this rank, columns those of all ranks, so a rank holds b x B logits for a pair of views. What
`ContrastiveObjective.loss` returns is this rank's summand: the sum over ranks is the value on the global batch, and so
is the sum of gradients. The target of a row is uniform over its positives. References: InfoNCE (arXiv 1807.03748), CLIP
(2103.00020), ERNIE-ViL 2.0 (2209.15270).
"""

import math
from collections.abc import Mapping

import paddle
from paddle import nn

from ..config.run import ObjectiveConfig
from ..data.batches.views import Batch
from .gather import Share, divide, gather_rows
from .positives import Labels, device_labels, positives, targets
from .sigmoid import sigmoid_loss
from .views import group_of

ABSENT = -1e9
SMALLEST = 1e-30


def cross_entropy(logits: paddle.Tensor, target: paddle.Tensor, rows: paddle.Tensor | None) -> paddle.Tensor:
    """Sum over `rows` of -sum(target * log softmax(logits)); logits and target [b, B], rows float32 [b] or None."""
    log_softmax = logits - paddle.logsumexp(logits, axis=1, keepdim=True)
    losses = (target * log_softmax).sum(1)
    return -(losses if rows is None else losses * rows).sum()


class ContrastiveObjective:
    """`loss(embeds, batch, model, share)` over the configured pairs; `views` are what it needs, `groups` its
    temperatures, `biased` whether they need a bias."""

    def __init__(self, config: ObjectiveConfig) -> None:
        self.pairs = config.weighted_pairs()
        self.rule = config.positives
        self.views = tuple(dict.fromkeys(view for pair in self.pairs for view in pair[:2]))
        groups = {group_of(first, second) for first, second, _ in self.pairs}
        self.groups = tuple(group for group in ("mm", "ii", "tt") if group in groups or group == "mm")
        self.biased = config.loss == "sigmoid"
        self.pair_loss = self.sigmoid if self.biased else self.info_nce

    def loss(
        self, embeds: Mapping[str, paddle.Tensor], batch: Batch, model: nn.Layer, share: Share | None = None
    ) -> dict[str, paddle.Tensor]:
        """{"loss": scalar, "first-second": scalar ...} from {view: normalised embeds [b, D]} of this rank's rows.

        share: which rows of the global batch these are; None for all. A pair of which no sample of the global batch
        has both views does not count: its own scalar is nan, and the loss is 0 where there is no other. It is found out
        on the device, since no rank knows the samples of the others.
        """
        share = share or divide(len(batch))
        labels = device_labels(batch, share)
        every = gathered({view: embeds[view] for view in self.views}, share)
        parts, total, weights = {}, 0.0, 0.0
        for first, second, weight in self.pairs:
            part = self.pair_loss(embeds, every, labels, model, first, second)
            there = labels[1].having(first, second)
            if there is None:
                part, shown = part / share.total, part.detach() / share.total
            else:
                count = there.astype("float32").sum()
                part = part / paddle.clip(count, min=1.0)
                shown = part.detach() + paddle.where(count > 0, 0.0, math.nan)
                weight = weight * (count > 0).astype("float32")
            total, weights = total + weight * part, weights + weight
            parts[f"{first}-{second}"] = shown
        if isinstance(weights, paddle.Tensor):
            weights = paddle.clip(weights, min=SMALLEST)
        return {"loss": total / weights, **parts}

    def info_nce(
        self,
        embeds: Mapping[str, paddle.Tensor],
        every: Mapping[str, paddle.Tensor],
        labels: tuple[Labels, Labels],
        model: nn.Layer,
        first: str,
        second: str,
    ) -> paddle.Tensor:
        """Symmetric InfoNCE of one pair, summed over rows, a scalar; labels: of rows and columns, on the device."""
        rows, columns = labels
        scale = model.logit_scale(group_of(first, second))
        logits = paddle.matmul(embeds[first], every[second], transpose_y=True) * scale
        if rows is columns:
            other = logits.T
        else:
            other = paddle.matmul(embeds[second], every[first], transpose_y=True) * scale
        here, there = rows.having(first, second), columns.having(first, second)
        if there is not None:
            mask = (~there).astype("float32") * ABSENT
            logits, other, here = logits + mask, other + mask, here.astype("float32")
        forward = targets(positives(rows, columns, first, second, self.rule), there)
        backward = targets(positives(rows, columns, second, first, self.rule), there)
        return (cross_entropy(logits, forward, here) + cross_entropy(other, backward, here)) / 2.0

    def sigmoid(
        self,
        embeds: Mapping[str, paddle.Tensor],
        every: Mapping[str, paddle.Tensor],
        labels: tuple[Labels, Labels],
        model: nn.Layer,
        first: str,
        second: str,
    ) -> paddle.Tensor:
        """Sigmoid loss of one pair, summed over rows, a scalar: each sample against each, as a yes-no question."""
        rows, columns = labels
        group = group_of(first, second)
        here, there = rows.having(first, second), columns.having(first, second)
        if there is None:
            here, there = paddle.ones([len(rows)], "bool"), paddle.ones([len(columns)], "bool")
        same = positives(rows, columns, first, second, self.rule)
        scale, bias = model.logit_scale(group), model.logit_bias(group)
        return sigmoid_loss(embeds[first], every[second], scale, bias, same, here, there)


def gathered(embeds: Mapping[str, paddle.Tensor], share: Share) -> Mapping[str, paddle.Tensor]:
    """{view: [B, D]} of all ranks from {view: [b, D]}; one collective for all views."""
    if share.alone:
        return embeds
    stacked = gather_rows(paddle.stack(list(embeds.values()), axis=1), share)
    return {view: stacked[:, place] for place, view in enumerate(embeds)}

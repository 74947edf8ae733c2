"""The contrastive objective over a weighted list of pairs of views: loss = sum(w_i l_i) / sum(w_i).

Rows are those of this rank, columns those of all ranks, so a rank holds b x B logits for a pair of views. What
`ContrastiveObjective.loss` returns is this rank's summand: the sum over ranks is the value on the global batch, and so
is the sum of gradients. The target of a row is uniform over its positives. References: InfoNCE (arXiv 1807.03748), CLIP
(2103.00020), ERNIE-ViL 2.0 (2209.15270).
"""

from collections.abc import Mapping

import numpy as np
import paddle
from paddle import nn

from ..config.run import ObjectiveConfig
from ..data.batches.views import Batch
from .gather import Share, divide, gather_rows
from .positives import Labels, labels_of, positives, targets
from .sigmoid import sigmoid_loss
from .views import group_of

ABSENT = -1e9


def cross_entropy(logits: paddle.Tensor, target: paddle.Tensor, rows: paddle.Tensor) -> paddle.Tensor:
    """Sum over `rows` of -sum(target * log softmax(logits)); logits and target [b, B], rows float32 [b]."""
    log_softmax = logits - paddle.logsumexp(logits, axis=1, keepdim=True)
    return -((target * log_softmax).sum(1) * rows).sum()


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

        share: which rows of the global batch these are; None for all. Empty on every rank when no sample of the global
        batch has both views of any pair.
        """
        share = share or divide(len(batch))
        rows, columns = labels_of(batch, share)
        pairs = [pair for pair in self.pairs if columns.both(*pair[:2]).any()]
        if not pairs:
            return {}
        used = dict.fromkeys(view for pair in pairs for view in pair[:2])
        every = gathered({view: embeds[view] for view in used}, share)
        parts, labels = {}, (rows, columns, rows.on_device(), columns.on_device())
        for first, second, _ in pairs:
            parts[f"{first}-{second}"] = self.pair_loss(embeds, every, labels, model, first, second)
        weights = sum(weight for *_, weight in pairs)
        total = sum(weight * parts[f"{first}-{second}"] for first, second, weight in pairs)
        return {"loss": total / weights, **parts}

    def info_nce(
        self,
        embeds: Mapping[str, paddle.Tensor],
        every: Mapping[str, paddle.Tensor],
        labels: tuple[Labels, Labels, Labels, Labels],
        model: nn.Layer,
        first: str,
        second: str,
    ) -> paddle.Tensor:
        """Symmetric InfoNCE of one pair, a scalar; labels: rows and columns as arrays, then as tensors."""
        rows, columns, own, all_of_them = labels
        scale = model.logit_scale(group_of(first, second))
        logits = paddle.matmul(embeds[first], every[second], transpose_y=True) * scale
        if rows is columns:
            other = logits.T
        else:
            other = paddle.matmul(embeds[second], every[first], transpose_y=True) * scale
        here, there = rows.both(first, second), columns.both(first, second)
        hidden = None
        if not there.all():
            hidden = paddle.to_tensor(~here)[:, None] | paddle.to_tensor(~there)[None, :]
            mask = hidden.astype("float32") * ABSENT
            logits, other = logits + mask, other + mask
        used = paddle.to_tensor(here.astype(np.float32))
        forward = targets(positives(own, all_of_them, first, second, self.rule), hidden)
        backward = targets(positives(own, all_of_them, second, first, self.rule), hidden)
        both_ways = cross_entropy(logits, forward, used) + cross_entropy(other, backward, used)
        return both_ways / (2.0 * there.sum())

    def sigmoid(
        self,
        embeds: Mapping[str, paddle.Tensor],
        every: Mapping[str, paddle.Tensor],
        labels: tuple[Labels, Labels, Labels, Labels],
        model: nn.Layer,
        first: str,
        second: str,
    ) -> paddle.Tensor:
        """Sigmoid loss of one pair, a scalar: each sample against each sample, as a yes-no question."""
        rows, columns, own, all_of_them = labels
        group = group_of(first, second)
        here, there = rows.both(first, second), columns.both(first, second)
        same = positives(own, all_of_them, first, second, self.rule)
        scale, bias = model.logit_scale(group), model.logit_bias(group)
        used = paddle.to_tensor(here), paddle.to_tensor(there)
        value = sigmoid_loss(embeds[first], every[second], scale, bias, same, *used)
        return value / float(there.sum())


def gathered(embeds: Mapping[str, paddle.Tensor], share: Share) -> Mapping[str, paddle.Tensor]:
    """{view: [B, D]} of all ranks from {view: [b, D]}; one collective for all views."""
    if share.alone:
        return embeds
    stacked = gather_rows(paddle.stack(list(embeds.values()), axis=1), share)
    return {view: stacked[:, place] for place, view in enumerate(embeds)}

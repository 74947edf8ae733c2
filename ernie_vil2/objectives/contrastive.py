"""The contrastive objective: symmetric InfoNCE over a weighted list of pairs of views.

loss = sum(w_i l_i) / sum(w_i). The target of a row is uniform over its positives: samples of the same image, and of the
same text where the pair holds that text. References: InfoNCE (arXiv 1807.03748), CLIP (2103.00020), ERNIE-ViL 2.0
(2209.15270).
"""

import numpy as np
import paddle

from .views import TEXT_VIEWS, group_of

ABSENT = -1e9


def positives(batch, first, second, rule="by_id"):
    """bool [B, B]: whether column j of the second view is a positive of row i of the first view."""
    size = len(batch)
    if rule == "one":
        return np.eye(size, dtype=bool)
    same = batch.image_ids[:, None] == batch.image_ids[None, :]
    texts = [batch.text_ids[view] for view in (first, second) if view in TEXT_VIEWS]
    for hashes in texts:
        same = same | (hashes[:, None] == hashes[None, :])
    if len(texts) == 2:
        same = same | (texts[0][:, None] == texts[1][None, :])
    return same


def cross_entropy(logits, target, rows):
    """Mean over `rows` of -sum(target * log softmax(logits)); logits and target [B, C], rows float32 [B]."""
    log_softmax = logits - paddle.logsumexp(logits, axis=1, keepdim=True)
    return -((target * log_softmax).sum(1) * rows).sum() / rows.sum()


def targets(same, rows, columns):
    """float32 [B, C]: uniform over the positives that are present, zero on absent rows."""
    same = same & columns[None, :] & rows[:, None]
    return (same / np.maximum(same.sum(1, keepdims=True), 1)).astype(np.float32)


class ContrastiveObjective:
    """`loss(embeds, batch, model)` over the configured pairs; `views` are what it needs, `groups` its temperatures."""

    def __init__(self, config):
        self.pairs = config.weighted_pairs()
        self.rule = config.positives
        self.views = tuple(dict.fromkeys(view for pair in self.pairs for view in pair[:2]))
        groups = {group_of(first, second) for first, second, _ in self.pairs}
        self.groups = tuple(group for group in ("mm", "ii", "tt") if group in groups or group == "mm")

    def pair_loss(self, embeds, batch, model, first, second):
        """Symmetric InfoNCE of one pair, a scalar; None when fewer than one sample has both views."""
        size = len(batch)
        both = batch.present.get(first, np.ones(size, bool)) & batch.present.get(second, np.ones(size, bool))
        if not both.any():
            return None
        same = positives(batch, first, second, self.rule)
        logits = paddle.matmul(embeds[first], embeds[second], transpose_y=True) * model.logit_scale(
            group_of(first, second)
        )
        if not both.all():
            hidden = np.where(both[:, None] & both[None, :], 0.0, ABSENT).astype(np.float32)
            logits = logits + paddle.to_tensor(hidden)
        rows = paddle.to_tensor(both.astype(np.float32))
        forward = cross_entropy(logits, paddle.to_tensor(targets(same, both, both)), rows)
        backward = cross_entropy(logits.T, paddle.to_tensor(targets(same.T, both, both)), rows)
        return (forward + backward) / 2

    def loss(self, embeds, batch, model):
        """{"loss": scalar, "first-second": scalar ...} from {view: normalised embeds [B, D]}."""
        parts, total, weights = {}, 0.0, 0.0
        for first, second, weight in self.pairs:
            value = self.pair_loss(embeds, batch, model, first, second)
            if value is not None:
                parts[f"{first}-{second}"] = value
                total, weights = total + weight * value, weights + weight
        if not parts:
            return {}
        return {"loss": total / weights, **parts}

"""The softmax of attention: exponentials of scores with the sums of their rows, and the way back through it."""

import numpy as np

SAFE = 30.0
"""Where scores are at most this large, of either sign, and so is the bias of one key, exponentials and their sums have
room in float32 though the largest score of the row is not taken off"""


def exponentials(scores: np.ndarray, bias: np.ndarray | None, sums: np.ndarray) -> None:
    """Make scores [B, H, N, M] the exponentials of scores + bias, up to a factor for each row, and write the sums of
    rows into `sums` [B, H, N, 1].

    bias: broadcast to [B, H, N, M]. What a sample is given depends on that sample alone."""
    if bias is not None:
        bias = np.broadcast_to(bias, (scores.shape[0], *bias.shape[1:]))
    with np.errstate(all="ignore"):
        for sample, part in enumerate(scores):
            added = None if bias is None else bias[sample]
            if is_safe(part, added):
                np.exp(part, out=part)
                if added is not None:
                    np.multiply(part, np.exp(added), out=part)
            else:
                if added is not None:
                    np.add(part, added, out=part)
                np.subtract(part, part.max(-1, keepdims=True), out=part)
                np.exp(part, out=part)
            np.einsum("hnm->hn", part, out=sums[sample, ..., 0])


def is_safe(scores: np.ndarray, bias: np.ndarray | None) -> bool:
    """Whether no row of scores [H, N, M] needs its largest one taken off; not for what is no number."""
    if bias is not None and not (bias.max() <= SAFE and bias.max(-1).min() >= -SAFE):
        return False
    return bool(-SAFE <= scores.min() and scores.max() <= SAFE)


def through_softmax(gradient: np.ndarray, weights: np.ndarray, sums: np.ndarray, dropped: np.ndarray | None) -> None:
    """Make `gradient` that of the scores: [B, H, N, M] each, but the sums of rows [B, H, N, 1].

    gradient: of the weights after dropout, divided by the sums; weights: what `exponentials` made; dropped: the same
    after dropout, None for without.
    """
    with np.errstate(all="ignore"):
        for sample, part in enumerate(gradient):
            own, total = weights[sample], sums[sample]
            if dropped is None:
                np.subtract(part, np.einsum("hnm,hnm->hn", part, own)[..., None] / total, out=part)
                np.multiply(part, own, out=part)
            else:
                np.multiply(part, dropped[sample], out=part)
                np.subtract(part, own * (np.einsum("hnm->hn", part)[..., None] / total), out=part)

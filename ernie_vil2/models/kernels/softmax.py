"""The softmax of attention: exponentials of scores with the sums of their rows, and the way back through it."""

from collections.abc import Callable

import numpy as np

ROOM = 1e13
"""Where the sums of rows are at most this large, and not smaller than its inverse, no exponential left the range of
float32 though the largest score of its row was not taken off"""


def exponentials(
    scores: np.ndarray, bias: np.ndarray | None, sums: np.ndarray, again: Callable[[int], np.ndarray]
) -> None:
    """Make scores [B, H, N, M] the exponentials of scores + bias, up to a factor for each row, and write the sums of
    rows into `sums` [B, H, N, 1].

    bias: broadcast to [B, H, N, M]. again: the scores of a sample once more, [H, N, M], for what needs its largest ones
    taken off. What a sample is given depends on that sample alone.
    """
    if bias is not None:
        bias = np.broadcast_to(bias, (scores.shape[0], *bias.shape[1:]))
    with np.errstate(all="ignore"):
        for sample, part in enumerate(scores):
            total = sums[sample, ..., 0]
            np.exp(part, out=part)
            if bias is not None:
                np.multiply(part, np.exp(bias[sample]), out=part)
            np.einsum("hnm->hn", part, out=total)
            if not (total.min() >= 1.0 / ROOM and total.max() <= ROOM):  # nor where one is no number
                np.copyto(part, again(sample))
                if bias is not None:
                    np.add(part, bias[sample], out=part)
                np.subtract(part, part.max(-1, keepdims=True), out=part)
                np.exp(part, out=part)
                np.einsum("hnm->hn", part, out=total)


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

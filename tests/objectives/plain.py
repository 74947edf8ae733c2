"""InfoNCE in one piece, as the tests' reference: the softmax of every row and of every column in extended precision.

fp64 would do for a usual loss; one of 1e-10 is lost in the rounding of a softmax near 1 there too.
"""

import numpy as np

WIDE = np.longdouble


def log_softmax(logits):
    """Of the rows."""
    logits = logits - logits.max(1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(1, keepdims=True))


def one_way(cosine, scale, same):
    """(sum of losses, its gradient by the logits, by the scale) of rows [n, m]; same: bool, the positives."""
    target = same / same.sum(1, keepdims=True).astype(WIDE)
    logs = log_softmax(cosine * scale)
    slope = np.exp(logs) - target
    return -(target * logs).sum(), slope * scale, (slope * cosine).sum()


def info_nce(x, y, scale, same, used=None):
    """{"loss", "x", "y", "scale"}: half of both ways, averaged over the samples that are used (bool [n])."""
    used = np.ones(len(x), bool) if used is None else used
    rows, columns, same = x[used].astype(WIDE), y[used].astype(WIDE), np.asarray(same, bool)[used][:, used]
    cosine, count, scale = rows @ columns.T, 2 * used.sum(), WIDE(scale)
    ways = one_way(cosine, scale, same), one_way(cosine.T, scale, same.T)
    slope = ways[0][1] + ways[1][1].T
    dx, dy = np.zeros(x.shape, WIDE), np.zeros(y.shape, WIDE)
    dx[used], dy[used] = slope @ columns, slope.T @ rows
    found = {"loss": ways[0][0] + ways[1][0], "x": dx, "y": dy, "scale": ways[0][2] + ways[1][2]}
    return {name: (value / count).astype(np.float64) for name, value in found.items()}

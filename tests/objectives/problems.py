"""What the loss is tried on: embeddings of several kinds, samples that belong together, and ranks in one process."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import paddle
import paddle.distributed as dist

from ernie_vil2.objectives.comparison import Comparison
from ernie_vil2.objectives.gather import Share
from ernie_vil2.objectives.info_nce import info_nce
from ernie_vil2.objectives.positives import Labels

SCALE = 50.0
TARGETS = {"tight": 0.01, "saturated": 3e-9}
"""Loss at SCALE of pairs that lie so near each other"""


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def separate_loss(x, y):
    """InfoNCE at SCALE where every sample has one positive, in fp64."""
    logits = SCALE * x @ y.T
    own = np.diag(logits).copy()
    np.fill_diagonal(logits, -np.inf)
    return np.mean([np.log1p(np.exp(logits - own[:, None]).sum(1)), np.log1p(np.exp(logits - own).sum(0))])


def features(kind, size, width, seed=0):
    """(x, y) float32 [size, width] of length 1: loose (independent), tight, saturated, or cone (near one direction)."""
    x, other, centre = (np.random.default_rng([seed, part]).standard_normal((size, width)) for part in range(3))
    if kind == "cone":
        x = unit(centre[:1]) + 0.05 * unit(x)
        return unit(x).astype("f4"), unit(x + 0.02 * unit(other)).astype("f4")
    x, other = unit(x), unit(other)
    if kind == "loose":
        return x.astype("f4"), other.astype("f4")
    near, far = 0.0, 50.0
    for _ in range(40):
        middle = (near + far) / 2
        near, far = (middle, far) if separate_loss(x, unit(x + middle * other)) < TARGETS[kind] else (near, middle)
    return x.astype("f4"), unit(x + near * other).astype("f4")


def labels(images, texts=None, present=None):
    """Labels of a whole batch; texts and present: {view: [N]}."""
    texts = {view: np.asarray(ids) for view, ids in (texts or {"caption": np.arange(len(images))}).items()}
    present = {view: np.asarray(flags, bool) for view, flags in (present or {}).items()}
    return Labels(np.asarray(images), texts, present, np.arange(len(images)))


def leaves(*arrays):
    """Tensors that learn."""
    return [paddle.to_tensor(array, "float32", stop_gradient=False) for array in arrays]


def shares(counts):
    """The Share of each rank."""
    return [Share(rank, tuple(counts), 0, max(counts)) for rank in range(len(counts))]


def found_by(x, y, scale, whole, counts, views=("image", "caption"), rule="by_id", others=()):
    """{"loss", "x", "y", "scale"}, summed over ranks that hold `counts` rows each, of InfoNCE summed over samples.

    others: (x, y, scale, whole) of further pairs of the same call, whose losses are "others".
    """

    def one(share):
        part, pairs = slice(share.start, share.start + share.rows), []
        for first, second, factor, both in ((x, y, scale, whole), *others):
            comparison = Comparison(both.part(part), both, *views, rule)
            pairs.append((comparison, *leaves(first[part], second, [factor])))
        return pairs[0][1:], info_nce(pairs, share)

    summands, dx, dy, dscale = [], [], 0.0, 0.0
    for (rows, columns, factor), losses in in_ranks(one, counts):
        losses[0].backward()
        summands.append([loss.item() for loss in losses])
        dx.append(rows.grad.numpy().astype("f8"))
        dy, dscale = dy + columns.grad.numpy().astype("f8"), dscale + factor.grad.numpy().astype("f8")
    loss, *further = np.sum(summands, 0).tolist()
    return {"loss": loss, "x": np.concatenate(dx), "y": dy, "scale": dscale[0], "others": further}


def in_ranks(work, counts):
    """[work(share)] of ranks that are threads, whose all-reduces meet."""
    meeting, given = threading.Barrier(len(counts), timeout=60), {}

    def all_reduce(tensor, op=dist.ReduceOp.SUM):
        given[threading.get_ident()] = tensor.numpy()
        meeting.wait()
        join = np.max if op == dist.ReduceOp.MAX else np.sum
        found = join(list(given.values()), axis=0)
        meeting.wait()
        tensor.set_value(found)

    if len(counts) == 1:
        return [work(*shares(counts))]
    original, dist.all_reduce = dist.all_reduce, all_reduce
    try:
        with ThreadPoolExecutor(len(counts)) as pool:
            return list(pool.map(work, shares(counts)))
    finally:
        dist.all_reduce = original

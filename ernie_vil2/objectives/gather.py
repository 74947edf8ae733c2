"""Rows of every rank, with gradient: which rows a rank holds, and the collective that fetches the others.

Backward of an all-gather is a reduce-scatter: every rank's loss uses every row. Where the backend has none, as
gloo, it is an all-reduce of which a rank keeps its own rows. Paddle's own `all_gather` carries no gradient at all.
"""

from dataclasses import dataclass

import paddle
import paddle.distributed as dist
from paddle.autograd import PyLayer
from paddle.autograd.py_layer import PyLayerContext

from ..device import device_of
from ..errors import ConfigError


@dataclass(frozen=True)
class Share:
    """The rows of a global batch that one rank holds: whole micro-batches, one after the other.

    counts: rows of every rank; first: global number of this rank's first micro-batch; micro: rows of a micro-batch.
    """

    rank: int
    counts: tuple[int, ...]
    first: int
    micro: int

    @property
    def rows(self) -> int:
        """Rows of this rank."""
        return self.counts[self.rank]

    @property
    def total(self) -> int:
        """Rows of the global batch."""
        return sum(self.counts)

    @property
    def start(self) -> int:
        """Place of the first row in the global batch."""
        return sum(self.counts[: self.rank])

    @property
    def alone(self) -> bool:
        """Whether this rank holds the whole batch."""
        return len(self.counts) == 1

    def chunks(self) -> list[tuple[int, slice]]:
        """[(global number of the micro-batch, slice of this rank's rows)]; the last one may be short."""
        starts = range(0, self.rows, self.micro)
        return [(self.first + k, slice(at, min(at + self.micro, self.rows))) for k, at in enumerate(starts)]


def divide(batch_size: int, micro: int = 0, rank: int = 0, size: int = 1) -> Share:
    """The Share of a rank out of `size`; micro-batches are never cut, so ranks may differ by one of them.

    micro 0 makes one micro-batch of a rank's share. Raises ConfigError where a rank would stay without rows.
    """
    if batch_size < size:
        raise ConfigError(
            f"train.batch_size {batch_size} is less than the {size} ranks, each of which needs a pair; set it to "
            f"{size} or more, or start {batch_size} ranks"
        )
    micro = min(micro or -(-batch_size // size), batch_size)
    pieces = -(-batch_size // micro)
    if pieces < size:
        raise ConfigError(
            f"train.batch_size {batch_size} makes {pieces} micro-batches of {micro}, too few for {size} ranks; "
            f"set train.micro_batch to at most {batch_size // size}"
        )
    ends = [min((pieces * (k + 1) // size) * micro, batch_size) for k in range(size)]
    counts = tuple(end - start for start, end in zip([0, *ends], ends, strict=False))
    return Share(rank, counts, pieces * rank // size, micro)


def padded(tensor: paddle.Tensor, rows: int) -> paddle.Tensor:
    """[n, ...] with zeros up to `rows` rows: gloo aborts on parts of different size."""
    lacking = rows - tensor.shape[0]
    if not lacking:
        return tensor
    return paddle.concat([tensor, paddle.zeros([lacking, *tensor.shape[1:]], tensor.dtype)])


def all_rows(tensor: paddle.Tensor, share: Share) -> paddle.Tensor:
    """[n, ...] of this rank -> [N, ...] of all ranks in order, without gradient."""
    if share.alone:
        return tensor
    parts = []
    dist.all_gather(parts, padded(tensor, max(share.counts)))
    return paddle.concat([part[:count] for part, count in zip(parts, share.counts, strict=True)])


class GatherRows(PyLayer):
    """all_rows whose gradient is the sum of what every rank's loss says of this rank's rows."""

    @staticmethod
    def forward(ctx: PyLayerContext, tensor: paddle.Tensor, share: Share) -> paddle.Tensor:
        ctx.share = share
        return all_rows(tensor, share)

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> paddle.Tensor:
        share = ctx.share
        if "reduce_scatter" in device_of(gradient).collectives:
            most = max(share.counts)
            parts = [padded(part, most) for part in paddle.split(gradient, list(share.counts))]
            own = paddle.empty_like(parts[share.rank])
            dist.reduce_scatter(own, parts)
            return own[: share.rows]
        gradient = gradient.clone()
        dist.all_reduce(gradient)
        return gradient[share.start : share.start + share.rows]


def gather_rows(tensor: paddle.Tensor, share: Share) -> paddle.Tensor:
    """[n, ...] of this rank -> [N, ...] of all ranks; differentiable. Every rank must call it, and use the result."""
    return tensor if share.alone else GatherRows.apply(tensor, share)

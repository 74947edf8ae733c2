"""Masks of a forward pass in training: dropout, stochastic depth, and which patches are left out.

Paddle has one random generator for a process, so only one thread at a time could draw from it, and on a CPU its dropout
costs three times what it costs here. Inside `keyed` a thread on a CPU draws from bits of its own. What a row
is given depends on the key, on the masks before it and on its place in the micro-batch, not on the rows that are
encoded beside it: a micro-batch may be divided. On other devices, and outside of `keyed`, Paddle's generator is drawn
from.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.autograd import PyLayer, PyLayerContext

from ..device import current_device
from ..keys import generator, random_key

STEPS = 1 << 16
"""A rate is rounded to multiples of 1 / STEPS: a value is kept or not by 16 bits."""
IN_A_WORD = 4

Key = tuple[object, ...]


class MaskBits:
    """Random bits of the rows `pieces` of a pass of `total` rows, mask after mask, from `position` on."""

    def __init__(self, key: Key, pieces: tuple[slice, ...], total: int, position: int = 0) -> None:
        self.key, self.pieces, self.total, self.position = key, pieces, total, position
        self.rows = sum(piece.stop - piece.start for piece in pieces)
        self.generator, self._drawn = generator(*key), 0

    def copy(self) -> "MaskBits":
        """Bits that begin where these are now."""
        return MaskBits(self.key, self.pieces, self.total, self.position)

    def words(self, each: int) -> np.ndarray:
        """The next mask: uint64 [rows, each]; it passes over what is of rows that are not here."""
        found = []
        for piece in self.pieces:
            start, count = self.position + piece.start * each, (piece.stop - piece.start) * each
            self.generator.bit_generator.advance(start - self._drawn)
            found.append(self.generator.integers(0, 1 << 64, count, np.uint64))
            self._drawn = start + count
        self.position += self.total * each
        return (found[0] if len(found) == 1 else np.concatenate(found)).reshape(self.rows, each)

    def kept(self, shape: list[int], dropped: int) -> np.ndarray:
        """uint8 of `shape`, whose first axis is that of the rows: 0 with a probability of dropped / STEPS, else 1."""
        values = int(np.prod(shape[1:], dtype=np.int64))
        bits = self.words(-(-values // IN_A_WORD)).view(np.uint16)
        return (bits[:, :values] >= dropped).view(np.uint8).reshape(shape)


class State(threading.local):
    """What this thread encodes: `bits` of its masks, and `part` (rows, of how many) of a micro-batch."""

    bits: MaskBits | None = None
    part: tuple[slice, int] | None = None


STATE = State()


@contextmanager
def part_of(rows: slice, total: int) -> Iterator[None]:
    """Inside the block this thread encodes `rows` of a micro-batch of `total` rows."""
    before, STATE.part = STATE.part, (rows, total)
    try:
        yield
    finally:
        STATE.part = before


@contextmanager
def keyed(key: Key, views: int, rows: int) -> Iterator[None]:
    """Inside the block masks depend on the key, for `rows` samples (all of a micro-batch, or its `part_of`) in `views`
    views, one below the other."""
    paddle.seed(random_key(*key))
    part, total = STATE.part or (slice(0, rows), rows)
    pieces = tuple(slice(view * total + part.start, view * total + part.stop) for view in range(views))
    with bits_of(MaskBits(key, pieces, views * total) if current_device().is_cpu else None):
        yield


@contextmanager
def bits_of(bits: MaskBits | None) -> Iterator[None]:
    """Inside the block this thread's masks are drawn from `bits`; None: from Paddle's generator."""
    before, STATE.bits = STATE.bits, bits
    try:
        yield
    finally:
        STATE.bits = before


def bits_here() -> MaskBits | None:
    """Bits that begin with the next mask of this thread; None where Paddle's generator is drawn from."""
    return STATE.bits and STATE.bits.copy()


def steps_of(rate: float) -> int:
    """A rate in [0, 1) as a number of STEPS, less than all."""
    return min(round(rate * STEPS), STEPS - 1)


class KeyedDropout(PyLayer):
    """x [B, ...] with values set to zero, the others scaled up; both passes are the kernel of Paddle's own gradient."""

    @staticmethod
    def forward(ctx: PyLayerContext, x: paddle.Tensor, rate: float) -> paddle.Tensor:
        dropped = steps_of(rate)
        mask = paddle.to_tensor(STATE.bits.kept(x.shape, dropped))
        ctx.rate = dropped / STEPS
        ctx.save_for_backward(mask)
        return masked(x, mask, ctx.rate)

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor) -> paddle.Tensor:
        (mask,) = ctx.saved_tensor()
        return masked(gradient, mask, ctx.rate)


def masked(x: paddle.Tensor, mask: paddle.Tensor, rate: float) -> paddle.Tensor:
    """x * mask / (1 - rate), for a mask of uint8."""
    return paddle._C_ops.dropout_grad(mask, x, rate, False, "upscale_in_train")


def dropout(x: paddle.Tensor, rate: float) -> paddle.Tensor:
    """x [B, ...] as in training: values are zero with probability `rate`, the others are divided by 1 - rate."""
    return F.dropout(x, rate, training=True) if STATE.bits is None else KeyedDropout.apply(x, rate)


def drop_rows(x: paddle.Tensor, rate: float) -> paddle.Tensor:
    """x [B, ...] as in training: rows are zero with probability `rate`, the others are divided by 1 - rate."""
    shape = [x.shape[0]] + [1] * (x.ndim - 1)
    if STATE.bits is None:
        keep = 1.0 - rate
        kept = paddle.rand(shape) < keep
    else:
        dropped = steps_of(rate)
        keep = 1.0 - dropped / STEPS
        kept = paddle.to_tensor(STATE.bits.kept(shape, dropped))
    return x * (kept.astype(x.dtype) * (1.0 / keep))


def shuffled(rows: int, count: int) -> paddle.Tensor:
    """int64 [rows, count]: 0 to count - 1 in an order drawn for each row."""
    if STATE.bits is None:
        return paddle.argsort(paddle.rand([rows, count]), axis=1)
    return paddle.to_tensor(np.argsort(STATE.bits.words(count), axis=1, kind="stable"))


class Dropout(nn.Dropout):
    """nn.Dropout, [B, ...] -> the same, whose mask has the key of the pass."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return dropout(x, self.p) if self.training and self.p else x

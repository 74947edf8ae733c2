"""Blocks that keep their input only, and run again in the backward pass: less memory, one more forward pass.

Paddle's default form of it loses gradients under several conditions, silently; this one is its saved-tensor form, whose
hooks are one pair for the process.
"""

import contextlib
import itertools
import logging
import threading
from collections.abc import Iterator

import paddle
from paddle import nn

from .masks import bits_here, bits_of

STATE = threading.local()


def running_again() -> bool:
    """Whether this thread is in the second pass of a block, which must leave no mark: its batch was counted before."""
    return getattr(STATE, "again", False)


@contextlib.contextmanager
def marked(again: bool) -> Iterator[None]:
    """Inside the block `running_again` says so."""
    before, STATE.again = running_again(), again
    try:
        yield
    finally:
        STATE.again = before


def worth_telling(record: logging.LogRecord) -> bool:
    """Whether a warning of Paddle's is right: it says of a block whose weights alone learn that nothing does."""
    return "None of the inputs" not in record.getMessage()


def run_again(block: nn.Layer, *inputs: paddle.Tensor) -> paddle.Tensor:
    """block(*inputs), which the backward pass computes once more instead of keeping what is in between."""
    if not paddle.is_grad_enabled():
        return block(*inputs)
    from paddle.distributed.fleet.recompute.recompute import logger
    from paddle.distributed.fleet.utils import recompute

    logger.addFilter(worth_telling)
    passes, bits = itertools.count(), bits_here()

    def one_pass(*tensors: paddle.Tensor) -> paddle.Tensor:
        if not next(passes):
            return block(*tensors)
        with marked(True), bits_of(bits and bits.copy()):
            return block(*tensors)

    return recompute(one_pass, *inputs, use_reentrant=False)

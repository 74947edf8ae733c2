"""Blocks that keep their input only, and run again in the backward pass: less memory, one more forward pass.

Paddle's default form of it loses gradients under several conditions, silently; this one is its saved-tensor form, whose
hooks are one pair for the process.
"""

import contextlib
import itertools
import threading
from collections.abc import Iterator

import paddle
from paddle import nn

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


def run_again(block: nn.Layer, *inputs: paddle.Tensor) -> paddle.Tensor:
    """block(*inputs), which the backward pass computes once more instead of keeping what is in between."""
    from paddle.distributed.fleet.utils import recompute

    passes = itertools.count()

    def one_pass(*tensors: paddle.Tensor) -> paddle.Tensor:
        with marked(next(passes) > 0):
            return block(*tensors)

    return recompute(one_pass, *inputs, use_reentrant=False)

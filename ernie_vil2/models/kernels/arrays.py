"""Tensors of a CPU as arrays in the same memory, and the pieces of them that a core's cache holds."""

from collections.abc import Iterator

import numpy as np
import paddle

from ...device import host_array

PIECE = 1 << 16
"""Values of a piece: with three others of its size it stays in the second cache (1 MiB and more) of a core"""


def array_of(tensor: paddle.Tensor) -> np.ndarray:
    """The values of a tensor of a CPU, in its own memory, whether or not it wants a gradient."""
    return host_array(tensor.detach())


def empty(shape: list[int]) -> paddle.Tensor:
    """A float32 tensor whose values are still to be written."""
    return paddle.empty(shape, "float32")


def pieces(count: int, each: int) -> Iterator[slice]:
    """Slices of `count` things of `each` values, that hold a PIECE of values or one thing."""
    step = max(1, PIECE // each)
    return (slice(first, min(first + step, count)) for first in range(0, count, step))

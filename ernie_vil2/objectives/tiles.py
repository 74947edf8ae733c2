"""Logits in tiles: how large they are, and what is done along their rows (axis 1) or their columns (axis 0).

On a CPU Paddle is slow along columns and where a vector meets a matrix, and its matrix products are fast: there a
vector is spread, and a tile summed, by a product with ones (2 ns an entry become 0.1). On a card such a product may be
rounded to TF32, so plain operators are used.
"""

import math

import paddle

from ..device import current_device, device_of

CPU_TILE, CARD_TILE = 1 << 20, 1 << 24
"""Entries of a tile: 8 MiB of float64 stay near the cores of a CPU, 64 MiB keep a card busy"""
PARTS = 32
"""Sums of a row that are joined in float64"""
ABSENT = -1e9
"""A logit that counts for nothing."""


def wide() -> str:
    """The type of logits, and of sums over them."""
    return "float64" if current_device().is_cpu else "float32"


def cast(tensor: paddle.Tensor, dtype: str | paddle.dtype) -> paddle.Tensor:
    """The tensor in another type; itself where it has it."""
    return tensor if tensor.dtype == getattr(paddle, str(dtype).removeprefix("paddle.")) else tensor.astype(dtype)


def slices(count: int, step: int) -> list[slice]:
    """[0, count) in parts of `step`; the last one may be short."""
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def tile_parts(rows: int, columns: int) -> tuple[list[slice], list[slice]]:
    """(parts of the rows, parts of the columns) whose products are tiles of a size that suits the device."""
    entries = CPU_TILE if current_device().is_cpu else CARD_TILE
    side = int(entries**0.5)
    height = min(rows, max(side, entries // max(columns, 1)))
    return slices(rows, height), slices(columns, max(entries // max(height, 1), 1))


def spread(vector: paddle.Tensor, tile: paddle.Tensor, axis: int) -> paddle.Tensor:
    """A vector of what is along `axis` of a tile, [rows] for 1 and [columns] for 0, to be added to it or multiplied."""
    vector = vector.unsqueeze(axis)
    if not device_of(tile).is_cpu:
        return vector
    ones = paddle.ones([1, tile.shape[1]] if axis else [tile.shape[0], 1], vector.dtype)
    return paddle.matmul(vector, ones) if axis else paddle.matmul(ones, vector)


def total(tile: paddle.Tensor, axis: int) -> paddle.Tensor:
    """Sums along an axis, in `wide`: [rows] for 1, [columns] for 0; in parts, so that small terms are not lost in one
    large sum."""
    if not device_of(tile).is_cpu:
        return tile.sum(axis)
    rows, columns = tile.shape
    parts = math.gcd(tile.shape[axis], PARTS)
    if axis:
        ones = paddle.ones([columns // parts], tile.dtype)
        found = paddle.matmul(tile.reshape([rows * parts, -1]), ones).reshape([rows, parts])
    else:
        ones = paddle.ones([rows // parts], tile.dtype)
        found = paddle.matmul(ones, tile.reshape([parts, rows // parts, columns]))
    return cast(found, "float64").sum(axis)


def largest(tile: paddle.Tensor, axis: int) -> paddle.Tensor:
    """Maxima along an axis: [rows] for 1, [columns] for 0."""
    if axis or not device_of(tile).is_cpu:
        return tile.max(axis)
    while tile.shape[0] > 1:
        half, odd = divmod(tile.shape[0], 2)
        halves = paddle.maximum(tile._slice(0, half), tile._slice(half, 2 * half))
        tile = paddle.maximum(halves, tile._slice(2 * half, 2 * half + 1)) if odd else halves
    return tile[0]


def exponentials(
    tile: paddle.Tensor, reference: paddle.Tensor, axis: int, dtype: str | paddle.dtype = "float32"
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """(tile - reference, its exponential) in a type, the reference along an axis as in `spread`."""
    less = cast(tile + spread(-reference, tile, axis), dtype)
    return less, less.exp()

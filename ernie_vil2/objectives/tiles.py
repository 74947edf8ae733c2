"""Logits in tiles [k, r, c]: how large they are, and what is done along their rows (axis 1) or their columns (axis 0).

On a CPU Paddle is slow along columns and where a vector meets a matrix, and its matrix products are fast: there a
vector is spread, and a large tile summed, by a product with ones (2 ns an entry become 0.1). On a card such a product
may be rounded to TF32, so plain operators are used.

Logits of a CPU are float64 until their maximum is taken off, where there are at most MOST_EXACT of them: in fp32 a
logit of 50 is rounded by 2e-6, and so is the loss of a few samples that are told apart well, whatever is done
afterwards. Over thousands of rows such rounding averages out, and float64 would cost a third of the time. A card
computes in fp32.
"""

import math

import paddle

from ..device import current_device, device_of

CPU_TILE, CARD_TILE = 1 << 20, 1 << 24
"""Entries of a tile: 8 MiB of float64 stay near the cores of a CPU, 64 MiB keep a card busy"""
LARGE = 1 << 15
"""Entries from which on a product with ones is faster than a plain operator"""
MOST_EXACT = 1 << 24
"""Logits of a comparison: 4,096 samples against each other"""
PARTS = 32
"""Sums of a row that are joined in float64"""
ABSENT = -1e9
"""A logit that counts for nothing."""


def wide() -> paddle.dtype:
    """The type of sums over logits, of their maxima and of what follows from both."""
    return paddle.float64 if current_device().is_cpu else paddle.float32


def logit_type(count: int) -> paddle.dtype:
    """The type of so many logits."""
    return paddle.float64 if current_device().is_cpu and count <= MOST_EXACT else paddle.float32


def cast(tensor: paddle.Tensor, dtype: paddle.dtype) -> paddle.Tensor:
    """The tensor in another type; itself where it has it."""
    return tensor if tensor.dtype == dtype else tensor.astype(dtype)


def slices(count: int, step: int) -> list[slice]:
    """[0, count) in parts of `step`; the last one may be short."""
    return [slice(start, min(start + step, count)) for start in range(0, count, step)]


def tile_parts(rows: int, columns: int) -> tuple[list[slice], list[slice]]:
    """(parts of the rows, parts of the columns) whose products are tiles of a size that suits the device."""
    entries = CPU_TILE if current_device().is_cpu else CARD_TILE
    height = min(rows, max(int(entries**0.5), entries // max(columns, 1)))
    return slices(rows, height), slices(columns, max(entries // max(height, 1), 1))


def by_product(tile: paddle.Tensor) -> bool:
    """Whether a product with ones is the faster way."""
    return tile.size >= LARGE and device_of(tile).is_cpu


def spread(vector: paddle.Tensor, tile: paddle.Tensor, axis: int) -> paddle.Tensor:
    """What is along `axis` of a tile [k, r, c], [k, r] for 1 and [k, c] for 0, to be added to it or multiplied."""
    vector = vector.unsqueeze(2 if axis else 1)
    if not by_product(tile):
        return vector
    ones = paddle.ones([1, tile.shape[2]] if axis else [tile.shape[1], 1], vector.dtype)
    return paddle.matmul(vector, ones) if axis else paddle.matmul(ones, vector)


def total(tile: paddle.Tensor, axis: int) -> paddle.Tensor:
    """Sums along an axis, in `wide`: [k, r] for 1, [k, c] for 0.

    Those of a CPU are taken in parts, so that small terms are not lost in one large sum.
    """
    if not device_of(tile).is_cpu:
        return tile.sum(axis + 1)
    if not by_product(tile):
        return cast(tile, paddle.float64).sum(axis + 1)
    count, rows, columns = tile.shape
    parts = math.gcd(tile.shape[axis + 1], PARTS)
    ones = paddle.ones([tile.shape[axis + 1] // parts], tile.dtype)
    if axis:
        found = paddle.matmul(tile.reshape([count * rows * parts, -1]), ones).reshape([count, rows, parts])
        return cast(found, paddle.float64).sum(2)
    found = paddle.matmul(ones, tile.reshape([count * parts, rows // parts, columns]))
    return cast(found.reshape([count, parts, columns]), paddle.float64).sum(1)


def largest(tile: paddle.Tensor, axis: int) -> paddle.Tensor:
    """Maxima along an axis: [k, r] for 1, [k, c] for 0."""
    if axis or not by_product(tile):
        return tile.max(axis + 1)
    rows, columns = tile.shape[1:]
    return paddle.stack([halved(tile._slice(k, k + 1).reshape([rows, columns])) for k in range(tile.shape[0])])


def halved(matrix: paddle.Tensor) -> paddle.Tensor:
    """Maxima of the columns of [r, c]: the upper half against the lower, until a row is left, [c]."""
    while matrix.shape[0] > 1:
        half, odd = divmod(matrix.shape[0], 2)
        halves = paddle.maximum(matrix._slice(0, half), matrix._slice(half, 2 * half))
        matrix = paddle.maximum(halves, matrix._slice(2 * half, 2 * half + 1)) if odd else halves
    return matrix[0]


def exponentials(
    tile: paddle.Tensor, reference: paddle.Tensor, axis: int, dtype: paddle.dtype
) -> tuple[paddle.Tensor, paddle.Tensor]:
    """(tile - reference, its exponential) in a type, the reference along an axis as in `spread`."""
    less = cast(tile + spread(-reference, tile, axis), dtype)
    return less, less.exp()

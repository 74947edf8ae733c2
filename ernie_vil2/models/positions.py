"""Position embeddings for another resolution or a longer text, by interpolation of the trained ones."""

import math

import numpy as np
import paddle
import paddle.nn.functional as F


def resize_grid(positions: np.ndarray, tokens: int) -> np.ndarray:
    """[1, 1 + n^2, W] -> [1, tokens, W]: the class token's row is kept, the n x n grid interpolated bicubically."""
    positions = np.asarray(positions, np.float32)
    if positions.shape[1] == tokens:
        return positions
    old, new = math.isqrt(positions.shape[1] - 1), math.isqrt(tokens - 1)
    width = positions.shape[2]
    grid = paddle.to_tensor(positions[:, 1:].reshape(1, old, old, width).transpose(0, 3, 1, 2))
    grid = F.interpolate(grid, size=[new, new], mode="bicubic", align_corners=False).numpy()
    return np.concatenate([positions[:, :1], grid.transpose(0, 2, 3, 1).reshape(1, new * new, width)], axis=1)


def resize_rows(positions: np.ndarray, rows: int) -> np.ndarray:
    """[n, W] -> [rows, W]: the first rows when there are enough, else linear interpolation over the whole length."""
    positions = np.asarray(positions, np.float32)
    if rows <= len(positions):
        return positions[:rows]
    at = np.linspace(0, len(positions) - 1, rows)
    low = np.floor(at).astype(int)
    share = (at - low).astype(np.float32)[:, None]
    return positions[low] * (1 - share) + positions[np.minimum(low + 1, len(positions) - 1)] * share

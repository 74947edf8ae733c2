"""Features of boxes from a feature map: a grid of bilinear samples in every box, averaged (BriVL, arXiv 2103.06561).

The samples of a box lie on lines and columns, so their average is a product of two short vectors with the map: what
`affine_grid`, `grid_sample` and an average pool give, in one matrix product instead of `cells` squared samples a box.
"""

import math

import paddle
from paddle import nn

from .layers import Linear


def axis_weights(
    first: paddle.Tensor, last: paddle.Tensor, length: int, cells: int, aligned: bool = False
) -> paddle.Tensor:
    """Share of every place of an axis of the map in a box: edges [B, M] in places of the map -> [B, M, length].

    The samples are those of the release: theta from corners as if aligned, and a grid that is not, whose samples
    outside of the map are zero. aligned: they lie evenly inside of the box, and what is beyond the outermost places
    counts as these.
    """
    steps = paddle.to_tensor([(2 * cell + 1) / cells - 1 for cell in range(cells)], first.dtype)
    if aligned:
        middle, half = (first + last) / 2, (last - first) / 2
        position = paddle.clip(middle.unsqueeze(-1) + half.unsqueeze(-1) * steps - 0.5, 0.0, length - 1.0)
    else:
        scale, shift = (last - first) / (length - 1), (first + last - length + 1) / (length - 1)
        position = ((scale.unsqueeze(-1) * steps + shift.unsqueeze(-1) + 1.0) * length - 1.0) / 2.0
    distance = (position.unsqueeze(-1) - paddle.arange(length, dtype=first.dtype)).abs()
    return paddle.clip(1.0 - distance, min=0.0).mean(-2)


def box_weights(
    boxes: paddle.Tensor, size: int, rows: int, columns: int, cells: int = 4, aligned: bool = False
) -> paddle.Tensor:
    """Share of every place of a map in the average over a box: [B, M, rows x columns], float32.

    boxes: float32 [B, M, 4] as (x1, y1, x2, y2) in pixels of an image of side `size`, of which the map is the whole.
    """
    with paddle.amp.auto_cast(enable=False):
        x1, y1, x2, y2 = (boxes / (size / columns)).unbind(-1)
        across, down = axis_weights(x1, x2, columns, cells, aligned), axis_weights(y1, y2, rows, cells, aligned)
        return (down.unsqueeze(-1) * across.unsqueeze(-2)).flatten(2)


def box_features(
    features: paddle.Tensor, boxes: paddle.Tensor, size: int, cells: int = 4, aligned: bool = False
) -> paddle.Tensor:
    """The average of a map [B, C, rows, columns] over the `cells` x `cells` samples of every box: [B, M, C]."""
    weights = box_weights(boxes, size, *features.shape[2:], cells, aligned)
    return paddle.matmul(weights.astype(features.dtype), features.flatten(2), transpose_y=True)


def grid_boxes(size: int, side: int) -> list[list[float]]:
    """`side` x `side` boxes that divide an image of `size` x `size` pixels, row by row."""
    step = size / side
    cells = [(row * step, column * step) for row in range(side) for column in range(side)]
    return [[left, top, left + step, top + step] for top, left in cells]


class CellProjection(Linear):
    """The 1x1 convolution of the samples, [..., C] -> [..., C']: it commutes with their average, and comes after it."""

    def starting_values(self) -> None:
        """Glorot normal, and biases as torch's convolutions have them: a box outside of the image is no zero."""
        nn.initializer.XavierNormal()(self.weight)
        bound = 1.0 / math.sqrt(self.weight.shape[0])
        nn.initializer.Uniform(-bound, bound)(self.bias)

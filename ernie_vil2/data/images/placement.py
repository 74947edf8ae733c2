"""Where the pixels of an image went on their way to a network's input, so that what was marked in it can follow."""

from typing import NamedTuple

import numpy as np


class Cut(NamedTuple):
    """Where a square was cut out of a resized image, in pixels of that, and whether left and right were exchanged."""

    top: int
    left: int
    mirrored: bool = False


class Placement(NamedTuple):
    """How an image was scaled, pixels of the result for one of the image, and what `size` square was cut out then."""

    scale_x: float
    scale_y: float
    size: int
    cut: Cut

    def move(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes [n, 4] of (x1, y1, x2, y2) in pixels of the image, in those of the square: float32 [n, 4], not clipped.

        A box that is mirrored keeps its left side at the left.
        """
        scale, corner = (self.scale_x, self.scale_y) * 2, (self.cut.left, self.cut.top) * 2
        moved = np.asarray(boxes, np.float64) * scale - corner
        if self.cut.mirrored:
            moved[:, [0, 2]] = self.size - moved[:, [2, 0]]
        return moved.astype(np.float32)


def placement(sides: tuple[int, int], resized: tuple[int, int], size: int, cut: Cut) -> Placement:
    """The Placement of an image of `sides` (height, width) that became `resized` (height, width) before the cut."""
    return Placement(resized[1] / sides[1], resized[0] / sides[0], size, cut)

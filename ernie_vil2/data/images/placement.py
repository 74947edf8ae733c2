"""Where the pixels of an image went on their way to a network's input, so that what was marked in it can follow."""

from typing import NamedTuple

import numpy as np

TURNS = {
    2: (False, True, False),
    3: (False, True, True),
    4: (False, False, True),
    5: (True, False, False),
    6: (True, True, False),
    7: (True, True, True),
    8: (True, False, True),
}
"""{EXIF orientation: whether x and y, then left and right, and top and bottom are exchanged in the upright picture}"""


class Cut(NamedTuple):
    """Where a square was cut out of a resized image, in pixels of that, and whether left and right were exchanged."""

    top: int
    left: int
    mirrored: bool = False


class Placement(NamedTuple):
    """An image of `sides` (height, width), as it was decoded, became `resized` (height, width), of which a square of
    `size` pixels was cut out."""

    sides: tuple[int, int]
    resized: tuple[int, int]
    size: int
    cut: Cut

    def move(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes float64 [n, 4] of (x1, y1, x2, y2) in pixels of the decoded image, in those of the square, not clipped:
        float32 [n, 4]."""
        scale = [after / before for after, before in zip(self.resized, self.sides, strict=True)]
        moved = boxes * (scale[::-1] * 2) - (self.cut.left, self.cut.top) * 2
        return exchanged(moved, (self.size, self.size), across=self.cut.mirrored).astype(np.float32)


def upright(boxes: np.ndarray, orientation: int, sides: tuple[int, int]) -> np.ndarray:
    """Boxes [n, 4] of a stored image in the picture of `sides` (height, width) that EXIF orientation makes of it."""
    turned, across, down = TURNS.get(orientation, (False,) * 3)
    return exchanged(boxes[:, [1, 0, 3, 2]] if turned else boxes, sides, across, down)


def exchanged(boxes: np.ndarray, sides: tuple[int, int], across: bool = False, down: bool = False) -> np.ndarray:
    """Boxes [n, 4] of a picture of `sides` (height, width) whose left and right, or top and bottom, are exchanged; the
    smaller number of a box stays in front."""
    boxes = boxes.copy()
    for mirrored, places, side in ((across, [0, 2], sides[1]), (down, [1, 3], sides[0])):
        if mirrored:
            boxes[:, places] = side - boxes[:, places[::-1]]
    return boxes

"""What a data check says of boxes: how many rows have some, and which can hold nothing of their image."""

from typing import NamedTuple

import numpy as np

from ..images.headers import image_size
from ..sources.base import Sample

TIFF = (b"II", b"MM")
"""Beginnings of a TIFF"""


class BoxCounts(NamedTuple):
    """Of one row or many: rows with a box, boxes, those that leave their image at a side, those without area."""

    rows: int = 0
    boxes: int = 0
    outside: int = 0
    empty: int = 0

    def plus(self, other: "BoxCounts") -> "BoxCounts":
        """The sum of two."""
        return BoxCounts(*map(sum, zip(self, other, strict=True)))


def count_boxes(sample: Sample, content: bytes | np.ndarray, sides: tuple[int, int] | None) -> BoxCounts:
    """The BoxCounts of a sample; content: bytes or pixels of its image.

    sides: (height, width) of the image as it was decoded, or None: nothing is said of the outside. Where the file says
    another size, because it is turned upright by its EXIF, boxes are compared with the size in the file. Those of a
    TIFF are boxes of the upright picture, since every decoder turns it.
    """
    if not sample.boxes:
        return BoxCounts()
    left, top, right, bottom = np.array(sample.boxes).T
    outside = 0
    if sides is not None:
        height, width = sides
        if not isinstance(content, np.ndarray) and content[:2] not in TIFF:
            width, height = image_size(content) or (width, height)
        beyond = np.maximum(left, right) > width, np.maximum(top, bottom) > height
        outside = (np.minimum(left, right) < 0) | (np.minimum(top, bottom) < 0) | beyond[0] | beyond[1]
    empty = (right <= left) | (bottom <= top)
    return BoxCounts(1, len(sample.boxes), int(np.sum(outside)), int(empty.sum()))

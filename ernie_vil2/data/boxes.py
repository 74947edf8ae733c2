"""Boxes of an image: as rows and callers write them, checked in one place, and as a network takes them."""

from numbers import Real

import numpy as np

from ..errors import DataError
from .images.placement import Placement, upright

LARGEST = 1e9  # pixels; well inside float32, so that no width or area overflows
FIX = "write a list of [x1, y1, x2, y2] in pixels of the image as it is stored"


def checked_boxes(value: object) -> np.ndarray:
    """Boxes as float32 [n, 4] of (x1, y1, x2, y2) in pixels of the image as it is stored, in their order.

    A TIFF is the exception: decoders turn it by its orientation tag, and its boxes are in pixels of what they give.

    `value` is a list, a tuple or an array of such boxes; without any it gives [0, 4]. A box that is reversed, has no
    area or leaves the image stays as it is: BriVL computes with it. Raises DataError, a sentence `reason; fix` without
    a place, for another shape, for what is no finite number, and where all lie in [0, 1] as fractions of the image do.
    """
    if not isinstance(value, (list, tuple, np.ndarray)):
        raise DataError(f"boxes is of type {type(value).__name__}; {FIX}")
    listed = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(listed, (list, tuple)):  # an array without axes
        raise DataError(f"boxes is the number {listed}; {FIX}")
    boxes = np.array([corners(box, number) for number, box in enumerate(listed, 1)], np.float32).reshape(-1, 4)
    if are_fractions(boxes):
        raise DataError("all boxes lie in [0, 1]; multiply them by the image's width and height, they are in pixels")
    return boxes


def are_fractions(boxes: np.ndarray) -> bool:
    """Whether boxes [n, 4] are taken for fractions of their image: all lie in [0, 1], and not all of them are 0."""
    return bool(boxes.any()) and boxes.min() >= 0 and boxes.max() <= 1


def corners(box: object, number: int) -> list[float]:
    """The four numbers of a box, the `number`-th of its image counted from 1."""
    box = box.tolist() if isinstance(box, np.ndarray) else box
    if not isinstance(box, (list, tuple)) or len(box) != 4:
        raise DataError(f"box {number} is not four numbers; {FIX}")
    for side in box:
        if not isinstance(side, Real) or isinstance(side, bool):
            raise DataError(f"box {number} holds a value of type {type(side).__name__}; {FIX}")
        if not abs(side) <= LARGEST:  # NaN is never
            raise DataError(f"box {number} holds {side!r:.24}; {FIX}")
    return [float(side) for side in box]


def network_boxes(boxes: object, most: int, placed: Placement, orientation: int = 1) -> tuple[np.ndarray, int]:
    """(float32 [most + 1, 4], count): the first `most` boxes of an image in pixels of the network's input, after them
    the whole input, zeros after that; `count` of them are no filling.

    boxes: [n, 4] in pixels of the image as it is stored, or None; they are not clipped to the input. orientation: the
    one of EXIF by which its decoder turned it. Source: BriVL's release.
    """
    own = np.asarray(boxes if boxes is not None else (), np.float64).reshape(-1, 4)[:most]
    found, count = np.zeros((most + 1, 4), np.float32), len(own) + 1
    found[: count - 1] = placed.move(upright(own, orientation, placed.sides))
    found[count - 1] = 0, 0, placed.size, placed.size
    return found, count

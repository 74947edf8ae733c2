"""Images, with boxes where a model takes some, to the arrays that its network encodes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np

from ..config.model import PixelProfile
from ..data.boxes import checked_boxes, network_boxes
from ..data.images.decode import applied_orientation, decode_for
from ..data.images.inputs import AnyImage, held
from ..data.images.limits import Limits
from ..data.images.resize import centre, crop
from ..errors import ConfigError, DataError
from ..threads import ordered_map, thread_count
from .items import Failures

Regions = tuple[np.ndarray, int]
"""Boxes float32 [most + 1, 4] in pixels of the network's input, as `network_boxes` gives them, and how many count"""
Entry = tuple[np.ndarray, Regions | None]
"""The crop of an image [S, S, 3], uint8 or float32, and its regions, None where no boxes were given for it"""


@dataclass(frozen=True)
class ImageReader:
    """Makes pixels and regions of images by the profile of a model and the number of boxes that it takes."""

    profile: PixelProfile
    limits: Limits
    most_boxes: int = 0

    def read(self, image: AnyImage, boxes: object = None) -> Entry:
        """boxes: [n, 4] in pixels of the image, or None. Raises ImageError, and DataError for boxes that are none."""
        checked = None if boxes is None else boxes_of(boxes)
        image = held(image, self.limits)
        rgb, sides = decode_for(image, None, self.profile, self.limits)
        pixels = crop(rgb, self.profile, self.limits, sides)
        if checked is None:
            return pixels, None
        placed = centre(sides, self.profile, self.limits)
        return pixels, network_boxes(checked, self.most_boxes, placed, applied_orientation(image, self.profile))

    def attempt(self, job: tuple[AnyImage, object]) -> Entry | DataError:
        """`read` of (image, boxes), or its error: an exception would end the threads that decode."""
        try:
            return self.read(*job)
        except DataError as error:
            return error

    def batches(
        self,
        images: Sequence[AnyImage],
        boxes: Sequence[object],
        size: int,
        failures: Failures,
        default: np.ndarray,
        boxed: bool = False,
    ) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
        """Yield (positions, (crops [B, S, S, 3],)), or where an image of the batch has boxes (positions, (crops, boxes
        float32 [B, most + 1, 4], counts int64 [B])); images are decoded ahead by threads.

        boxes: [n, 4] or None, one for each image. default: float32 [m, 4] for an image without, beside one with some,
        or wherever it is `boxed`.
        """
        made = enumerate(ordered_map(self.attempt, zip(images, boxes, strict=True), thread_count(), ahead=2 * size))
        good = ((position, entry) for position, entry in made if failures.passes(position, entry))
        while batch := list(islice(good, size)):
            positions, entries = zip(*batch, strict=True)
            crops, regions = zip(*entries, strict=True)
            yield np.array(positions), (np.stack(crops), *stacked(regions, default, self.most_boxes if boxed else 0))


def stacked(regions: Sequence[Regions | None], default: np.ndarray, most: int = 0) -> tuple[np.ndarray, ...]:
    """(boxes [B, most + 1, 4], counts int64 [B]), or () where none of the images has regions and `most` is 0."""
    given = [boxes for boxes, _ in filter(None, regions)]
    if not given and not most:
        return ()
    filled = np.zeros_like(given[0]) if given else np.zeros((most + 1, 4), np.float32)
    filled[: len(default)] = default
    boxes, counts = zip(*(found or (filled, len(default)) for found in regions), strict=True)
    return np.stack(boxes), np.array(counts, np.int64)


def boxes_of(value: object) -> np.ndarray:
    """`checked_boxes`, its error with a cause to count by."""
    try:
        return checked_boxes(value)
    except DataError as error:
        error.cause = "bad boxes"
        raise


def boxes_of_each(boxes: object, count: int, most: int) -> list[object]:
    """What was given for each of `count` images, [n, 4] or None, by a caller who may leave out the list around one.

    Raises ConfigError where the model takes no boxes (most 0) and for another number of entries.
    """
    if boxes is None:
        return [None] * count
    if not most:
        if isinstance(boxes, (list, tuple)) and len(boxes) == count and all(one is None for one in boxes):
            return [None] * count
        raise ConfigError(
            "boxes are given, but this model takes none; leave them out, or load a model that looks at boxes"
        )
    if count == 1 and depth(boxes) == 2:
        return [boxes]
    entries = list(boxes) if hasattr(boxes, "__iter__") else [boxes]
    if len(entries) != count:
        raise ConfigError(
            f"boxes has {len(entries)} entries for {count} images; give a list with one [n, 4] or None for each image"
        )
    return entries


def depth(value: object) -> int:
    """How many lists lie in each other; an empty one is boxes without a box."""
    if isinstance(value, np.ndarray):
        return value.ndim
    if not isinstance(value, (list, tuple)):
        return 0
    return 1 + depth(value[0]) if len(value) else 2

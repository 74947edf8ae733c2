"""A picture of somebody unknown: held against the limits by its header, and then read as the model sees it."""

from dataclasses import dataclass

from ...data.images.inputs import AnyImage, content_of
from ...data.images.inspection import inspect
from ...data.images.limits import check_size
from ...errors import DataError
from ...inference.image_batches import Entry
from ...inference.single_batches import SingleBatches
from .image_refusal import ImageRefusal


@dataclass(frozen=True)
class UploadedImage:
    """entry: what the network sees. width, height, format: by the header; 0 and "" where it has no known signature."""

    entry: Entry
    width: int
    height: int
    format: str


def read_image(batches: SingleBatches, image: AnyImage) -> UploadedImage:
    """A picture as a model sees it; ImageRefusal for what is none, or is over a limit.

    A JPEG counts with all of its pixels, though it could be decoded smaller: that would take seconds.
    """
    limits = batches.model.limits
    try:
        content, where = content_of(image, limits)
        kind, size = inspect(content, where, limits)
        if size is not None:
            check_size(size, where, limits)
        return UploadedImage(batches.pixels(content), *(size or (0, 0)), kind or "")
    except DataError as error:
        most = {
            "megapixels": limits.max_pixels // 10**6,
            "hundred_millions": limits.max_pixels / 10**8,
            "mebibytes": limits.max_bytes // 2**20,
        }
        raise ImageRefusal(error, **most) from error

"""What an image may be: limits of size, checks of shape, and the one error for everything else."""

from dataclasses import dataclass

import numpy as np

from ...errors import ImageError


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is decoded: a file over max_bytes, or a header that declares over max_pixels.

    max_pixels bounds the resized image too, which a very long and thin image makes large. keep_damaged: a file that
    decodes only in part gives what can be decoded, instead of being refused.
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 64 * 2**20
    keep_damaged: bool = False


DEFAULT_LIMITS = Limits()


def image_error(cause: str, message: str) -> ImageError:
    """An ImageError with the fixed name of its cause, to count by."""
    error = ImageError(message)
    error.cause = cause
    return error


def check_pixels(array: object, dimensions: int, what: str, wanted: str) -> None:
    shape = getattr(array, "shape", ())
    if getattr(array, "dtype", None) != np.uint8 or len(shape) != dimensions or shape[-1] != 3 or 0 in shape[-3:]:
        kind = f"type {type(array).__name__}"
        if isinstance(array, np.ndarray):
            kind = f"dtype {array.dtype} and shape {list(shape)}"
        raise image_error("not an image", f"{what} of {kind} does not hold RGB pixels; {wanted}")


def check_bytes(count: int, where: str, limits: Limits) -> None:
    if count == 0:
        raise image_error("empty image", f"{where}: is empty; fetch or export the image again")
    if count > limits.max_bytes:
        raise image_error(
            "too large",
            f"{where}: {count} bytes are over the limit of {limits.max_bytes}; "
            "make the file smaller or raise max_bytes",
        )


def check_size(size: tuple[int, int], where: str, limits: Limits) -> None:
    width, height = size
    if width < 1 or height < 1:
        raise image_error(
            "broken image", f"{where}: declares {width} x {height} pixels, so it is broken; fetch or export it again"
        )
    if width * height > limits.max_pixels:
        raise image_error(
            "too large",
            f"{where}: {width} x {height} pixels are over the limit of {limits.max_pixels}; "
            "make the image smaller or raise max_pixels",
        )

"""What an image may be: limits of size, checks of shape, and the one error for everything else."""

from dataclasses import dataclass

import numpy as np

from ...errors import ImageError


@dataclass(frozen=True)
class Limits:
    """What is refused before anything is decoded.

    A file over max_bytes; a header that declares over max_pixels, also at the half, quarter or eighth of its sides at
    which a JPEG can be decoded as long as its short side keeps LEAST_SHORT pixels; a side over max_side; beyond 36
    million pixels, more than max_expansion of them for each byte of the file; and a file whose decoder would have more
    to do, in time or memory, than with max_work plain pixels: floats, several scans, large tiles and the like weigh
    more (`formats/work.py`). With these limits one file takes at most about 1 GB and 5 s. max_pixels bounds the resized
    image too, which a very long and thin image makes large. keep_damaged: a file that decodes only in part gives what
    can be decoded, instead of being refused.
    """

    max_pixels: int = 100_000_000
    max_bytes: int = 64 * 2**20
    max_side: int = 65_535
    max_expansion: int = 10_000
    max_work: int = 100_000_000
    keep_damaged: bool = False


DEFAULT_LIMITS = Limits()
LEAST_SHORT = 512
"""Pixels that the short side of a JPEG keeps where it is decoded smaller: more than nearly all models read"""
UNSUSPECTED = 36_000_000
"""Pixels that may come out of a file of any length: a screen of 8K, or a scan of A4 at 600 dpi, may be of one colour"""


def limits_of(damaged: str) -> Limits:
    """The limits of the setting `damaged`, skip or keep."""
    return Limits(keep_damaged=damaged == "keep")


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


def least_reduction(size: tuple[int, int], limits: Limits) -> int:
    """The factor of 1, 2, 4 and 8 by which a JPEG of (width, height) is decoded smaller for the limit of pixels; 1 too
    where none suffices."""
    enough = (n for n in (2, 4, 8) if min(size) >= n * LEAST_SHORT and area(size, n) <= limits.max_pixels)
    return 1 if area(size) <= limits.max_pixels else next(enough, 1)


def area(size: tuple[int, int], factor: int = 1) -> int:
    """Pixels of (width, height) after both were made smaller by a factor."""
    return -(-size[0] // factor) * -(-size[1] // factor)


def check_size(size: tuple[int, int], where: str, limits: Limits, factor: int = 1) -> None:
    """ImageError for sides that are refused, of a picture that is decoded smaller by a factor."""
    width, height = size
    if width < 1 or height < 1:
        raise image_error(
            "broken image", f"{where}: declares {width} x {height} pixels, so it is broken; fetch or export it again"
        )
    if max(size) > limits.max_side:
        raise image_error(
            "too large",
            f"{where}: {width} x {height} pixels have a side over the limit of {limits.max_side}; "
            "cut the image into parts or raise max_side",
        )
    if area(size, factor) > limits.max_pixels:
        raise image_error(
            "too large",
            f"{where}: {width} x {height} pixels are over the limit of {limits.max_pixels}; "
            "make the image smaller or raise max_pixels",
        )


def check_work(work: float, size: tuple[int, int], count: int, where: str, limits: Limits) -> None:
    """ImageError where a file of `count` bytes makes too many pixels, or too much work counted in pixels."""
    if UNSUSPECTED < area(size) > count * limits.max_expansion:
        raise image_error(
            "too large",
            f"{where}: {size[0]} x {size[1]} pixels would come out of {count} bytes, over the limit of "
            f"{limits.max_expansion} for a byte; export the image again or raise max_expansion",
        )
    if work > limits.max_work:
        raise image_error(
            "too large",
            f"{where}: takes as long or as much memory as {work:.0f} plain pixels, over the limit of "
            f"{limits.max_work}; save it as a plain JPEG or PNG, make it smaller, or raise max_work",
        )

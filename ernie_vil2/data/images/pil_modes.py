"""RGB pixels of a PIL image: as its file would give through OpenCV, or as Pillow converts."""

from collections.abc import Callable

import numpy as np
from PIL import Image, ImageCms

from ...errors import ImageError
from .limits import image_error

ORIENTATION_TAG = 0x0112
STRIP = 1 << 22
"""Pixels that are converted at a time, so that a large picture is in memory once and not three times"""
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def as_pil(image: Image.Image, wide_range: str = "scaled", where: str = "a PIL image") -> np.ndarray:
    """Pillow's own conversion to RGB, alpha dropped and EXIF orientation not applied: uint8 [H, W, 3].

    wide_range: what becomes of modes that Pillow would clip to 8 bits, a field of PixelProfile. ImageError for values
    of which it is not known what is white.
    """
    width, height = image.size
    rows = max(1, STRIP // width)
    strips = [(0, top, width, min(height, top + rows)) for top in range(0, height, rows)]
    image.load()
    scale = None
    if wide_range == "scaled" and (image.mode in ("I", "F") or image.mode.startswith("I;16")):
        grey = [(strip.min(), strip.max(), strip.dtype) for strip in (np.asarray(image.crop(box)) for box in strips)]
        scale = scale_of(np.min([low for low, _, _ in grey]), np.max([high for _, high, _ in grey]), grey[0][2], where)
    rgb = np.empty((height, width, 3), np.uint8)
    for box in strips:
        part = image if len(strips) == 1 else image.crop(box)
        rgb[box[1] : box[3]] = plain_rgb(part) if scale is None else scale(np.asarray(part))[:, :, None]
    return rgb


def plain_rgb(image: Image.Image) -> np.ndarray:
    """Pillow's conversion of an image to RGB, uint8 [H, W, 3]."""
    if image.mode in ("RGBa", "La"):
        image = image.convert(image.mode.upper())
    elif image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # the same colours as straight to RGB, without Pillow's warning on transparency
    elif image.mode == "LAB":
        spaces = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, *spaces, outputMode="RGB")
    return np.asarray(image if image.mode == "RGB" else image.convert("RGB"))


ROUNDING = 0.005


def scale_of(low: float, high: float, kind: np.dtype, where: str) -> Callable[[np.ndarray], np.ndarray]:
    """What makes uint8 of grey values of a type from `low` to `high`. Whole numbers are 16 bits, of which the high byte
    stays, or 8 where 32 bits hold no more; floats reach from 0 to 1, give or take a rounding, or to 255. What ends
    between 1 and 2 may be either."""
    if np.issubdtype(kind, np.integer):  # NaN is in no range
        if low >= 0 and high <= 65535:
            shift = 0 if kind.itemsize > 2 and high <= 255 else 8
            return lambda grey: (grey >> shift).astype(np.uint8)
    elif low >= -ROUNDING and high <= 1 + ROUNDING:
        return lambda grey: np.rint(np.clip(grey, 0, 1) * 255).astype(np.uint8)
    elif low >= 0 and 2 < high <= 255:
        return lambda grey: np.rint(grey).astype(np.uint8)
    raise image_error(
        "unknown range",
        f"{where}: has values from {low:g} to {high:g}, of which it is not known what is white; "
        "save it with 8 or 16 bits, or with floats from 0 to 1",
    )


def as_opencv(image: Image.Image) -> np.ndarray:
    """What OpenCV gives for the file of this image: uint8 [H, W, 3].

    Known differences, which need the file itself: transparent pixels of a GIF, alpha in TIFF (premultiplied by
    OpenCV's reader). Raises ImageError for 32-bit float pixels, which OpenCV refuses as well.
    """
    mode = image.mode
    if mode == "F":
        raise ImageError("a PIL image of mode F (32-bit float) has no defined range; convert it to mode L or RGB first")
    turn = TRANSPOSE.get(orientation(image))
    if turn is not None:
        image = image.transpose(turn)
    if mode == "I" or mode.startswith("I;16"):
        grey = (np.clip(np.asarray(image), 0, 65535) >> 8).astype(np.uint8)
        return np.repeat(grey[:, :, None], 3, axis=2)
    if mode == "CMYK":
        ink = 255 - np.asarray(image).astype(np.int32)
        colour, black = ink[:, :, :3], ink[:, :, 3:]
        return (black - ((255 - colour) * black >> 8)).astype(np.uint8)
    return as_pil(image)


def orientation(image: Image.Image) -> int:
    """EXIF orientation 1 to 8 that OpenCV would apply: from EXIF, not XMP, and not for AVIF, where it ignores it."""
    raw = image.info.get("exif")
    if not raw or image.format == "AVIF":
        return 1
    exif = Image.Exif()
    try:
        exif.load(raw)
        return exif.get(ORIENTATION_TAG, 1)
    except Exception:
        return 1

"""RGB pixels of a PIL image: as its file would give through OpenCV, or as Pillow converts."""

import numpy as np
from PIL import Image

from ...errors import ImageError

ORIENTATION_TAG = 0x0112
TRANSPOSE = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def as_pil(image: Image.Image) -> np.ndarray:
    """Pillow's own conversion to RGB, alpha dropped and EXIF orientation not applied: uint8 [H, W, 3]."""
    if image.mode in ("P", "PA"):
        image = image.convert("RGBA")  # the same colours as straight to RGB, without Pillow's warning on transparency
    return np.array(image.convert("RGB"))


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
    if mode in ("RGBa", "La"):
        image = image.convert(mode.upper())
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

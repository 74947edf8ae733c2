"""A small JPEG of a picture of any kind: upright, what is transparent over white, never larger than the picture."""

from dataclasses import replace

import numpy as np

from ...config.model import PIXEL_PROFILES
from ...data.images.decode import OPENCV_KINDS, decode_for
from ...data.images.exif import exif_facts
from ...data.images.formats.kinds import kind_of
from ...data.images.formats.png import png_chunks
from ...data.images.headers import image_size
from ...data.images.inspection import inspect
from ...data.images.jpeg import turn
from ...data.images.libraries import opencv
from ...data.images.limits import DEFAULT_LIMITS, Limits
from ...data.images.resize import OFFICIAL

SIZES = (160, 320, 640)
"""Pixels of the longest side"""
QUALITY = 85
TURNS = {
    2: (0, True), 3: (2, False), 4: (2, True), 5: (3, True), 6: (1, False), 7: (1, True), 8: (3, False),
}  # fmt: skip
"""{EXIF orientation: (quarter turns, mirrored first)}"""
FIRST_COLOUR = 25
"""Where the kind of pixels stands in a PNG"""
ALPHA, EXTENDED = 0x10, b"VP8X"
"""The bit of a WebP of the extended kind that says that it has alpha"""


def thumbnail(picture: bytes | np.ndarray, size: int, limits: Limits = DEFAULT_LIMITS) -> bytes:
    """The JPEG of a picture, the bytes of its file or RGB uint8 [H, W, 3], whose longest side is at most `size`.

    Of a damaged picture what can be decoded is shown. Raises ImageError for what is none, or over the limits.
    """
    from simplejpeg import encode_jpeg

    limits = replace(limits, keep_damaged=True)
    small = shrunk(picture if isinstance(picture, np.ndarray) else pixels_of(picture, size, limits), size)
    return encode_jpeg(np.ascontiguousarray(small), QUALITY, "RGB", "420")


def shrunk(rgb: np.ndarray, size: int) -> np.ndarray:
    """uint8 [h, w, 3] with a longest side of at most `size`; a picture that is as small stays as it is."""
    cv2, (height, width) = opencv(), rgb.shape[:2]
    longest = max(height, width)
    if longest <= size:
        return rgb
    sides = (max(1, round(side * size / longest)) for side in (width, height))
    return cv2.resize(rgb, tuple(sides), interpolation=cv2.INTER_AREA)


def pixels_of(data: bytes, size: int, limits: Limits) -> np.ndarray:
    """RGB uint8 [H, W, 3] of the bytes of a file, upright; a JPEG is decoded no larger than it must be."""
    kind = kind_of(data)
    if kind not in OPENCV_KINDS:
        return decode_for(data, None, PIXEL_PROFILES["bicubic"], limits)[0]
    if has_alpha(kind, data) and (rgb := over_white(data, limits)) is not None:
        return rgb if kind == "TIFF" else turn(rgb, *TURNS.get(exif_facts(data)[0], (0, False)))
    sides = image_size(data) or (1, 1)
    short = max(1, -(-size * min(sides) // max(sides)))
    return decode_for(data, short, OFFICIAL, limits)[0]


def has_alpha(kind: str, data: bytes) -> bool:
    """Whether a picture may be transparent somewhere, as far as its header tells."""
    if kind == "PNG":
        return data[FIRST_COLOUR : FIRST_COLOUR + 1] in (b"\4", b"\6") or any(
            name == b"tRNS" for name, _, _ in png_chunks(data)
        )
    if kind == "WEBP":
        return data[12:16] == b"VP8L" or data[12:16] == EXTENDED and bool(data[20] & ALPHA)
    return kind in ("GIF", "TIFF", "AVIF", "PAM", "JPEG2000", "BMP")


def over_white(data: bytes, limits: Limits) -> np.ndarray | None:
    """RGB uint8 [H, W, 3] of a picture with alpha over white, as it is stored, of a TIFF upright; None for one that has
    none after all, or is of more than 16 bits."""
    cv2 = opencv()
    inspect(data, "the picture", limits)
    try:
        stored = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if stored is None or stored.ndim != 3 or stored.shape[2] != 4 or stored.dtype not in (np.uint8, np.uint16):
        return None
    if stored.dtype == np.uint16:
        stored = (stored >> 8).astype(np.uint8)
    rgb = np.empty((*stored.shape[:2], 3), np.uint8)
    alpha = stored[..., 3]
    for channel in range(3):
        colour = stored[..., 2 - channel]
        rgb[..., channel] = cv2.add(cv2.multiply(colour, alpha, scale=1 / 255), cv2.bitwise_not(alpha))
    return rgb

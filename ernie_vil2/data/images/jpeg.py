"""JPEG files to pixels by libjpeg-turbo itself, which tells a damaged file from a good one in the same pass.

OpenCV and Pillow are this library too, and give the same pixels in every bit, but of a damage one prints a line on
stderr that names no file, and the other says nothing.
"""

import contextlib
import functools
import re

import numpy as np

from .headers import JPEG_SIZE_MARKERS, jpeg_segments

APPLICATION = 0xE1
PADDING = 16
"""Bytes that may stand before the end marker: some cameras pad there. No damage was seen to leave so few."""
END = re.compile(r"Corrupt JPEG data: (\d+) extraneous bytes before marker 0xd9")
HARMLESS = ("Invalid SOS parameters", "Unknown Adobe color transform", "Warning: unknown JFIF revision")
"""What libjpeg warns of though no pixel depends on it."""


def jpeg_pixels(data: bytes, rows: int = 0, columns: int = 0) -> tuple[np.ndarray | None, str]:
    """(RGB uint8 [h, w, 3] as stored, what is damaged or ""); (None, "") for what libjpeg-turbo cannot decode at all.

    The scale is the smallest of libjpeg's with at least `rows` x `columns` pixels; 0 for the full size.
    """
    pixels, fault = attempt(data, rows, columns)
    if pixels is None and (clean := without_stray_bytes(data)) != data:
        pixels, fault = attempt(clean, rows, columns)
    return pixels, fault


def attempt(data: bytes, rows: int, columns: int) -> tuple[np.ndarray | None, str]:
    """`jpeg_pixels` of these very bytes: at the first warning it is decoded again, as far as it goes."""
    from simplejpeg import decode_jpeg

    try:
        return decode_jpeg(data, "RGB", min_height=rows, min_width=columns, strict=True), ""
    except ValueError as error:
        fault = str(error)
    with contextlib.suppress(ValueError):
        pixels = decode_jpeg(data, "RGB", min_height=rows, min_width=columns, strict=False)
        return pixels, "" if is_harmless(fault) else fault
    return None, ""


def is_harmless(warning: str) -> bool:
    """Whether every pixel is right in spite of this warning."""
    padding = END.match(warning)
    return warning.startswith(HARMLESS) or bool(padding and int(padding[1]) <= PADDING)


def without_stray_bytes(data: bytes) -> bytes:
    """The file without what stands between the segments of its header, where every decoder skips it."""
    parts, place = [data[:2]], 2
    for marker, payload in jpeg_segments(data):
        place = payload - 2 + int.from_bytes(data[payload - 2 : payload], "big")
        parts.append(bytes((0xFF, marker)) + data[payload - 2 : place])
    return b"".join(parts) + data[place:]


def has_ink(data: bytes) -> bool:
    """Whether the pixels are CMYK, of which OpenCV and Pillow make different colours."""
    frames = (payload for marker, payload in jpeg_segments(data) if marker in JPEG_SIZE_MARKERS)
    return any(data[payload + 5 : payload + 6] == b"\x04" for payload in frames)


def upright(rgb: np.ndarray, data: bytes) -> np.ndarray:
    """`rgb` turned as OpenCV turns this file: it is asked, with the file's EXIF in front of a picture of few pixels."""
    segments = [
        data[payload - 4 : payload - 2 + int.from_bytes(data[payload - 2 : payload], "big")]
        for marker, payload in jpeg_segments(data)
        if marker == APPLICATION
    ]
    if not any(segment[4:8] == b"Exif" for segment in segments):
        return rgb
    import cv2

    probe, turned = probes()
    shown = cv2.imdecode(np.frombuffer(probe[:2] + b"".join(segments) + probe[2:], np.uint8), cv2.IMREAD_COLOR)
    how = next(how for how, wanted in turned.items() if np.array_equal(shown, wanted))
    return turn(rgb, *how)


@functools.cache
def probes() -> tuple[bytes, dict[tuple[int, bool], np.ndarray]]:
    """A small JPEG, and {(quarter turns, mirrored first): its pixels} of the eight ways to turn it."""
    import cv2

    picture = np.repeat(np.arange(0, 240, 2, dtype=np.uint8).reshape(8, 15)[:, :, None], 3, axis=2)
    data = cv2.imencode(".jpg", picture)[1]
    plain = cv2.imdecode(data, cv2.IMREAD_COLOR)
    hows = [(quarters, mirrored) for mirrored in (False, True) for quarters in range(4)]
    return data.tobytes(), {how: turn(plain, *how) for how in hows}


def turn(pixels: np.ndarray, quarters: int, mirrored: bool) -> np.ndarray:
    """[h, w, 3] mirrored left to right, if so, and then turned by quarters with the clock."""
    import cv2

    pixels = cv2.flip(pixels, 1) if mirrored else pixels
    turns = cv2.ROTATE_90_CLOCKWISE, cv2.ROTATE_180, cv2.ROTATE_90_COUNTERCLOCKWISE
    return cv2.rotate(pixels, turns[quarters - 1]) if quarters else pixels

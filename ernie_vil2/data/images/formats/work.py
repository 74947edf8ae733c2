"""How much work a file makes for a decoder, by its header: counted in pixels, of which 100 million take about a
gigabyte or a few seconds."""

import struct
from collections.abc import Callable

from .jpeg2000 import jpeg2000_burden
from .jpeg_scans import jpeg_burden
from .png import png_burden
from .tiff import tiff_burden

WEIGHTS = {"AVIF": 2, "HDR": 2, "ICO": 2, "WEBP": 2, "PAM": 2}
"""Pixels of work of a pixel, where decoders need more memory for one than for others"""
FLOATS, DIGITS, RUNS = 4, 6, 8
"""The same of float pixels, of values that are written as digits, and of runs, which Pillow decodes in Python"""


def burden(kind: str, data: bytes, size: tuple[int, int]) -> tuple[float, str]:
    """(work in pixels, what is wrong with the header or ""), of a file of `kind` whose header declares `size`."""
    try:
        measure = BURDENS.get(kind)
        return measure(data) if measure else (WEIGHTS.get(kind, 1) * size[0] * size[1] * special(kind, data), "")
    except (struct.error, LookupError, TypeError, OverflowError):
        return 0, "its header ends early"
    except ValueError as error:
        return 0, str(error)


def special(kind: str, data: bytes) -> int:
    """The weight of a rare form of a format."""
    if kind == "BMP" and data[14] > 12 and struct.unpack_from("<I", data, 30)[0] in (1, 2):
        return RUNS
    if kind == "PPM":
        return FLOATS if data[1:2] in b"Ff" else DIGITS if data[1:2] in b"123" else 1
    return 1


BURDENS: dict[str, Callable[[bytes], tuple[float, str]]] = {
    "JPEG": jpeg_burden,
    "PNG": png_burden,
    "TIFF": tiff_burden,
    "JPEG2000": jpeg2000_burden,
}

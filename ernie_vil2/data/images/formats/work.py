"""How much work a file makes for a decoder, by its header: counted in pixels, of which 100 million take about a
gigabyte or a few seconds."""

import struct
from collections.abc import Callable

from .avif import avif_burden
from .gif import gif_burden
from .jpeg2000 import jpeg2000_burden
from .jpeg_scans import jpeg_burden
from .png import png_burden
from .tiff import tiff_burden

WEIGHTS = {"HDR": 2, "ICO": 2, "WEBP": 2, "PAM": 2}
"""Pixels of work of a pixel, where decoders need more memory for one than for others"""
FLOATS, DIGITS, RUNS = 4, {b"1": 6, b"2": 10, b"3": 30}, 8
"""The same of float pixels, of values written as digits by their kind, and of runs: Pillow reads these two in Python"""


def burden(kind: str, data: bytes, size: tuple[int, int]) -> tuple[float, str]:
    """(work in pixels, what is wrong with the header or ""), of a file of `kind` whose header declares `size`."""
    try:
        measure = BURDENS.get(kind)
        return measure(data) if measure else (weight(kind, data) * size[0] * size[1], "")
    except (struct.error, LookupError, TypeError, ArithmeticError):
        return 0, "its header ends early"
    except ValueError as error:
        return 0, str(error)


def weight(kind: str, data: bytes) -> int:
    """The work of a pixel of a file."""
    if kind == "BMP" and data[14] > 12 and struct.unpack_from("<I", data, 30)[0] in (1, 2):
        return RUNS
    if kind == "PPM":
        return FLOATS if data[1:2] in b"Ff" else DIGITS.get(data[1:2], 1)
    return WEIGHTS.get(kind, 1)


BURDENS: dict[str, Callable[[bytes], tuple[float, str]]] = {
    "JPEG": jpeg_burden,
    "PNG": png_burden,
    "GIF": gif_burden,
    "TIFF": tiff_burden,
    "JPEG2000": jpeg2000_burden,
    "AVIF": avif_burden,
}

"""Size of an image from the first bytes of its file: nothing is decoded, so a decompression bomb costs nothing.

Covers the formats that OpenCV decodes. Where a file holds several sizes (AVIF, JPEG 2000), the one that the decoder
allocates is given, or the largest.
"""

import re
import struct
from collections.abc import Iterator

from .formats.avif import avif_sizes
from .formats.gif import read_gif
from .formats.jpeg2000 import jpeg2000_size
from .formats.kinds import kind_of
from .formats.png import png_chunks
from .formats.tiff import tiff_tags

JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}
END_OF_IMAGE = b"\xff\xd9"
MARKER = re.compile(rb"\xff[\x01-\xfe]")
MOST_SEGMENTS = 20_000


def image_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the header declares, or None when the bytes are of no known format or end too early."""
    read = READERS.get(kind_of(data))
    if read is None:
        return None
    try:
        return read(data)
    except (struct.error, LookupError, TypeError, ValueError, ArithmeticError):
        return None


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end marker, as a cut download does; False for other formats.

    Bytes after the end marker are allowed. Some OpenCV versions would fill the missing part of such a file silently.
    """
    if data[:3] == b"\xff\xd8\xff":
        scan = next((place for marker, place in jpeg_segments(data) if marker == 0xDA), len(data))
        return data.rfind(END_OF_IMAGE, scan) < 0
    if data[:4] == b"\x89PNG":
        return all(kind != b"IEND" or end + 4 > len(data) for kind, _, end in png_chunks(data))
    return False


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, offset of its payload) up to and including the first scan."""
    place = 2
    for _ in range(MOST_SEGMENTS):
        found = MARKER.search(data, place, len(data) - 2)
        if found is None:
            return
        place, marker = found.start(), data[found.start() + 1]
        if marker in JPEG_BARE_MARKERS:
            place += 2
            continue
        yield marker, place + 4
        if marker in (0xD9, 0xDA):
            return
        place += 2 + struct.unpack_from(">H", data, place + 2)[0]


def read_jpeg(data: bytes) -> tuple[int, int] | None:
    for marker, place in jpeg_segments(data):
        if marker in JPEG_SIZE_MARKERS:
            height, width = struct.unpack_from(">HH", data, place + 1)
            return width, height
    return None


def read_bmp(data: bytes) -> tuple[int, int]:
    return read_dib(data, 14)


def read_dib(data: bytes, start: int) -> tuple[int, int]:
    """(width, height) of the header of a bitmap at `start`."""
    if struct.unpack_from("<I", data, start)[0] == 12:
        return struct.unpack_from("<HH", data, start + 4)
    width, height = struct.unpack_from("<ii", data, start + 4)
    return abs(width), abs(height)


def read_webp(data: bytes) -> tuple[int, int]:
    """The canvas of an animation, or the largest picture: a file may declare one and hold the other."""
    return largest(webp_sizes(data, 12))


def webp_sizes(data: bytes, place: int, depth: int = 0) -> Iterator[tuple[int, int]]:
    """(width, height) that every chunk with a size declares."""
    for _ in range(MOST_SEGMENTS):
        if place + 8 > len(data) or depth > 1:
            return
        kind, size = data[place : place + 4], int.from_bytes(data[place + 4 : place + 8], "little")
        start, place = place + 8, place + 8 + size + size % 2
        if kind == b"VP8X":
            yield tuple(int.from_bytes(data[at : at + 3], "little") + 1 for at in (start + 4, start + 7))
        elif kind == b"VP8L":
            bits = struct.unpack_from("<I", data, start + 1)[0]
            yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
        elif kind == b"VP8 ":
            width, height = struct.unpack_from("<HH", data, start + 6)
            yield width & 0x3FFF, height & 0x3FFF
        elif kind == b"ANMF":
            yield from webp_sizes(data[start:place], 16, depth + 1)


def largest(sizes: Iterator[tuple[int, int]]) -> tuple[int, int] | None:
    return max(sizes, key=lambda size: size[0] * size[1], default=None)


def read_tiff(data: bytes) -> tuple[int, int] | None:
    sides = tiff_tags(data, {256, 257})
    return (sides[256][0], sides[257][0]) if len(sides) == 2 else None


def read_netpbm(data: bytes) -> tuple[int, int]:
    """P1 to P6 and the float PF, Pf: two numbers after the kind; comments run from # to the end of the line."""
    words = re.sub(rb"#[^\r\n]*", b" ", data[2:4096]).split(None, 2)
    return int(words[0]), int(words[1])


def read_pam(data: bytes) -> tuple[int, int]:
    """The largest of what is declared: a header may say it twice."""
    return tuple(max(map(int, re.findall(name + rb"\s+(\d+)", data[:4096]))) for name in (rb"\nWIDTH", rb"\nHEIGHT"))


def read_radiance(data: bytes) -> tuple[int, int] | None:
    """The largest of the lines that could be that of the size: a comment may look like one."""
    lines = re.findall(rb"\n[-+]([XY]) (\d+) [-+][XY] (\d+)", data[:65536])
    sides = ((int(first), int(second)) for _, first, second in lines)
    found = largest(sides)
    return found[::-1] if found and lines[0][0] == b"Y" else found


def read_avif(data: bytes) -> tuple[int, int] | None:
    return largest(avif_sizes(data))


def read_ico(data: bytes) -> tuple[int, int] | None:
    """The largest of its pictures by what they say themselves, which the directory may not."""
    return largest(ico_sizes(data))


def ico_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    for entry in range(6, 6 + 16 * int.from_bytes(data[4:6], "little"), 16):
        (place,) = struct.unpack_from("<I", data, entry + 12)
        if data[place : place + 4] == b"\x89PNG":
            yield struct.unpack_from(">II", data, place + 16)
        else:
            width, height = read_dib(data, place)
            yield width, max(1, height // 2)


READERS = {
    "JPEG": read_jpeg,
    "PNG": lambda data: struct.unpack_from(">II", data, 16),
    "GIF": read_gif,
    "BMP": read_bmp,
    "WEBP": read_webp,
    "TIFF": read_tiff,
    "PPM": read_netpbm,
    "PAM": read_pam,
    "SUN": lambda data: struct.unpack_from(">II", data, 4),
    "HDR": read_radiance,
    "JPEG2000": jpeg2000_size,
    "AVIF": read_avif,
    "ICO": read_ico,
}

"""The chunks of a PNG."""

import struct
from collections.abc import Iterator

MOST_CHUNKS = 100_000
INFLATED = 1032
"""Bytes that one of deflate's can become, at most"""
COMMENTS = (b"tEXt", b"zTXt", b"iTXt", b"iCCP", b"sPLT", b"hIST", b"tIME")
CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""Values of a pixel by the colour type of a PNG"""


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """(kind, offset of the kind, offset of the checksum) of every chunk, to the end or the first that is cut."""
    place = 8
    while place + 12 <= len(data):
        end = place + 8 + int.from_bytes(data[place : place + 4], "big")
        yield data[place + 4 : place + 8], place + 4, end
        place = end + 4


def without_comments(data: bytes) -> bytes:
    """A PNG without its chunks of text and colour profile, on which no pixel depends: they may be large when inflated,
    and libpng prints what it finds wrong with them."""
    parts, start = [], 0
    for kind, place, end in png_chunks(data):
        if kind in COMMENTS:
            parts.append(data[start : place - 4])
            start = end + 4
        if kind == b"IEND":
            break
    return b"".join([*parts, data[start:]]) if parts else data


def png_burden(data: bytes) -> tuple[float, str]:
    """(work in pixels, what is wrong with the file or "")."""
    width, height, bits, colour = struct.unpack_from(">IIBB", data, 16)
    content = 0
    for number, (kind, place, end) in enumerate(png_chunks(data)):
        if kind == b"IEND":
            break
        if number == MOST_CHUNKS:
            return 0, f"it has over {MOST_CHUNKS:,} chunks"
        if end + 4 > len(data):
            return 0, f"a chunk at byte {place - 4} declares {end - place - 4:,} bytes, which are more than there are"
        if kind == b"IDAT":
            content += end - place - 4
        elif kind == b"fcTL" and end - place >= 24:
            wide, high, left, top = struct.unpack_from(">IIII", data, place + 8)
            if wide + left > width or high + top > height:
                return 0, f"it has a frame of {wide} x {high} pixels, which is larger than the picture"
    raw = height * (-(-width * bits * CHANNELS.get(colour, 4) // 8) + 1)
    if raw > INFLATED * max(content, 4096):
        return 0, f"its {content:,} bytes of pixels cannot be {width} x {height}"
    return width * height, ""

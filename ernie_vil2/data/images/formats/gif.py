"""What a GIF declares before its first frame."""

import struct

MOST_BEFORE_FRAME = 1 << 20
"""Bytes of comments in a GIF, which Pillow joins piece by piece: that takes the square of their length"""


def read_gif(data: bytes) -> tuple[int, int]:
    """The screen, or the first frame where that is larger: Pillow makes the screen as large."""
    width, height = struct.unpack_from("<HH", data, 6)
    place = gif_frame(data)
    if place > MOST_BEFORE_FRAME or data[place] != 0x2C:
        return width, height
    left, top, wide, high = struct.unpack_from("<4H", data, place + 1)
    return max(width, left + wide), max(height, top + high)


def gif_frame(data: bytes) -> int:
    """Offset of what follows the extensions before the first frame of a GIF, or of a place beyond MOST_BEFORE_FRAME;
    LookupError where the file ends within them."""
    place = 13 + (3 << (data[10] & 7) + 1 if data[10] & 128 else 0)
    while data[place] == 0x21 and place <= MOST_BEFORE_FRAME:
        place += 2
        while data[place] and place <= MOST_BEFORE_FRAME:
            place += data[place] + 1
        place += 1
    return place


def gif_burden(data: bytes) -> tuple[float, str]:
    """(work in pixels, what is wrong with the file or "")."""
    if gif_frame(data) > MOST_BEFORE_FRAME:
        return 0, f"it has over {MOST_BEFORE_FRAME:,} bytes of comments before its picture"
    width, height = read_gif(data)
    return width * height, ""

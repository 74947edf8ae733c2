"""What decoding a JPEG takes: the blocks that its scans go over, and those that are kept until the last one."""

import re
import struct

SCAN, END = 0xDA, 0xD9
PROGRESSIVE = (0xC2, 0xC6, 0xCA, 0xCE)
FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
MARKER = re.compile(rb"\xff[\x01-\xcf\xd8-\xfe]")
MOST_MARKERS, MOST_COMPONENTS = 40_000, 4
PASSES = 32
"""Scans over a value that take as long as making a pixel"""
SHOWN = 100_000_000
BASELINE, PIXEL, VALUE = 1 / 4, 3 / 9, 2 / 9
"""Work of a pixel that one scan gives, since the decoder makes large ones smaller; otherwise memory counts: of a pixel
beside values that are kept until the last scan"""


def jpeg_burden(data: bytes) -> tuple[float, str]:
    """(work in pixels, what is wrong with the file or "").

    The entropy-coded data is only looked through where there is more than one scan.
    """
    place, components, seen, progressive, area = 2, {}, 0, False, 0
    for _ in range(MOST_MARKERS):
        found = MARKER.search(data, place)
        if found is None:
            break
        place, marker = found.end(), found.group()[1]
        if marker in (0x01, 0xD8):
            continue
        length = int.from_bytes(data[place : place + 2], "big")
        if marker in FRAMES:
            if components:
                return 0, "it has two frames"
            height, width, count = struct.unpack_from(">HHB", data, place + 3)
            if not 0 < count <= MOST_COMPONENTS:
                return 0, f"it has {count} components"
            area, progressive = width * height, marker in PROGRESSIVE
            components = sampling(data[place + 8 : place + 8 + 3 * count], area)
        elif marker == SCAN and components:
            chosen = {data[at] for at in range(place + 3, min(len(data), place + 3 + 2 * data[place + 2]), 2)}
            values = sum(components.get(name, 0) for name in chosen)
            if not progressive and len(chosen) >= len(components) and not seen:
                return area * BASELINE, ""
            seen += values
        elif marker == END:
            break
        place += length
    else:
        return 0, f"it has over {MOST_MARKERS:,} markers"
    return max(min(area, SHOWN) * PIXEL + sum(components.values()) * VALUE, seen / PASSES), ""


def sampling(table: bytes, area: int) -> dict[int, float]:
    """{component: values that it has}, by its share of the largest sampling factors."""
    factors = {table[at]: (table[at + 1] >> 4, table[at + 1] & 15) for at in range(0, len(table) - 2, 3)}
    wide, high = (max([1, *(pair[axis] for pair in factors.values())]) for axis in (0, 1))
    return {name: area * across * down / (wide * high) for name, (across, down) in factors.items()}

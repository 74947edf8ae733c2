"""The main header of a JPEG 2000 codestream (ISO/IEC 15444-1, annex A): what OpenJPEG allocates by it."""

import struct

START = b"\xff\x4f\xff\x51"
WEIGHT = 4
"""OpenJPEG keeps a number of 32 bits for every value, twice"""
BYTE = 6
"""Work of a byte, of which it takes four million a second"""
MOST_COMPONENTS, MOST_TILES, MOST_PIECES = 5, 16_384, 2_000_000
COD, COC, TILE = 0x52, 0x53, 0x90


def jpeg2000_burden(data: bytes) -> tuple[float, str]:
    """(work in pixels, what is wrong with the file or "")."""
    place = data.index(START) + 4
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, place + 4)
    (components,) = struct.unpack_from(">H", data, place + 36)
    width, height = right - left, bottom - top
    if not 0 < components <= MOST_COMPONENTS:
        return 0, f"it has {components} components"
    if not tile_width or not tile_height:
        return 0, "its tiles have no size"
    tiles = -(-right // tile_width) * -(-bottom // tile_height)
    if tiles > MOST_TILES:
        return 0, f"it has {tiles:,} tiles"
    place += struct.unpack_from(">H", data, place)[0]
    for _ in range(1024):
        marker, length = struct.unpack_from(">HH", data, place)
        if marker >> 8 != 0xFF or marker & 0xFF == TILE:
            break
        content = data[place + 4 : place + 2 + length]
        if marker & 0xFF == COD:
            if fault := coding_fault(content[0], content[1:], width, height, tiles, components):
                return 0, fault
        elif marker & 0xFF == COC:
            if fault := coding_fault(content[1], b"\0\0\x01\0" + content[2:], width, height, tiles, 1):
                return 0, fault
        place += 2 + length
    return max(WEIGHT * max(1, components / 3) * width * height, BYTE * len(data)), ""


def coding_fault(style: int, content: bytes, width: int, height: int, tiles: int, components: int) -> str:
    """What of a COD segment makes more packets or blocks of code than a picture has."""
    layers, (levels, wide, high) = int.from_bytes(content[1:3], "big"), content[4:7]
    resolutions = levels + 1
    precincts = content[9 : 9 + resolutions] if style & 1 else bytes([0xFF]) * resolutions
    count = 0
    for level, size in enumerate(precincts):
        shift = resolutions - 1 - level
        across, down = -(-width >> shift) if shift else width, -(-height >> shift) if shift else height
        count += (across // (1 << (size & 15)) + 1) * (down // (1 << (size >> 4)) + 1)
    blocks = width * height / (1 << (min(wide, 8) + min(high, 8) + 4))
    packets = layers * max(count, tiles * resolutions) * components
    if packets > MOST_PIECES or blocks * components > MOST_PIECES:
        return f"it has {packets:,} packets and {blocks * components:,.0f} blocks of code"
    return ""

"""What is damaged in a PNG, TIFF or WebP that a decoder may show in part.

Of the other formats, and of compressions without a check of their own, what their decoders refuse is all that is known.
"""

import io
import struct
import zlib

from .formats.jpeg_scans import jpeg_burden
from .formats.png import png_chunks
from .formats.tiff import (
    BITS,
    COMPRESSION,
    COUNTS,
    HEIGHT,
    JPEG_TABLES,
    OFFSETS,
    PLANES,
    ROWS,
    SAMPLES,
    TILE_HEIGHT,
    TILE_WIDTH,
    WIDTH,
    Tags,
    pieces,
    tiff_tags,
)
from .jpeg import attempt

LZW, JPEG, DEFLATE = 5, 7, (8, 32946)
SHAPE = (WIDTH, HEIGHT, BITS, SAMPLES, ROWS, PLANES, TILE_WIDTH, TILE_HEIGHT)
PIECE = 1 << 24


def damage(data: bytes) -> str:
    """What is damaged in the pixels of a PNG or TIFF, or missing of a WebP, or ""."""
    if data[:4] == b"\x89PNG":
        return png_damage(data)
    if data[:2] in (b"II", b"MM"):
        try:
            return tiff_damage(data)
        except (struct.error, LookupError, ValueError, OverflowError):
            return "its directory cannot be read"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP" and len(data) < int.from_bytes(data[4:8], "little") + 8:
        return "its end is missing"
    return ""


def png_damage(data: bytes) -> str:
    """The first chunk with pixels, palette or size in it whose checksum is wrong."""
    for kind, place, end in png_chunks(data):
        if kind in (b"IHDR", b"PLTE", b"IDAT") and data[end : end + 4] != struct.pack(
            ">I", zlib.crc32(memoryview(data)[place:end])
        ):
            return f"the checksum of its chunk {kind.decode()} at byte {place - 4} is wrong"
    return ""


def tiff_damage(data: bytes) -> str:
    """The first strip or tile of the first picture that is not all there, or does not decompress."""
    tags = tiff_tags(data, {COMPRESSION, JPEG_TABLES, *SHAPE, *OFFSETS, *COUNTS})
    compression = tags.get(COMPRESSION, (1,))[0]
    offsets, counts = (next((tags[tag] for tag in names if tag in tags), ()) for names in (OFFSETS, COUNTS))
    most, size = pieces(tags)
    for number, (start, count) in enumerate(zip(offsets[:most], counts, strict=False), 1):
        strip = data[start : start + count]
        if len(strip) < count or (fault := strip_damage(strip, compression, tags, size)):
            return f"strip {number} of {len(offsets)} " + ("is cut" if len(strip) < count else f"says: {fault}")
    return lzw_damage(data) if compression == LZW else ""


def strip_damage(strip: bytes, compression: int, tags: Tags, size: int) -> str:
    """What is damaged in a strip that is `size` bytes when decompressed."""
    if compression in DEFLATE:
        inflating = zlib.decompressobj()
        try:
            while size > 0 and strip:
                size -= len(inflating.decompress(strip, min(PIECE, size)))
                strip = inflating.unconsumed_tail
        except zlib.error as error:
            return str(error)
        return "" if inflating.eof or size <= 0 else "it ends early"
    if compression == JPEG:
        tables = bytes(tags.get(JPEG_TABLES, ()))
        whole = tables[:-2] + strip[2:] if tables else strip
        work, fault = jpeg_burden(whole)
        if fault or work > 4 * max(size, PIECE):
            return fault or "it is larger than the strip"
        return attempt(whole, 1, 1)[1]
    return ""


def lzw_damage(data: bytes) -> str:
    """LZW has no checksum, but Pillow refuses codes that cannot be; OpenCV shows what came before them."""
    from PIL import Image

    try:
        Image.open(io.BytesIO(data), formats=("TIFF",)).load()
    except Exception as error:  # Pillow raises errors of many types for what it does not know
        return str(error)
    return ""

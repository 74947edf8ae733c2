"""The first directory of a TIFF or BigTIFF."""

import struct
from collections.abc import Collection

NUMBERS = {1: "B", 3: "H", 4: "I", 7: "B", 13: "I", 16: "Q", 18: "Q"}
SIZES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value by its type"""
WIDTH, HEIGHT, BITS, COMPRESSION, SAMPLES, ROWS, PLANES = 256, 257, 258, 259, 277, 278, 284
TILE_WIDTH, TILE_HEIGHT, JPEG_TABLES = 322, 323, 347
OFFSETS, COUNTS = (273, 324), (279, 325)
MOST_ENTRIES, MOST_SAMPLES = 4096, 6
MOST_VALUES = 1 << 21
"""Numbers of one tag, which are strips or tiles"""
MOST_CONTENT = 1 << 24
"""Bytes of values that a directory may declare beside those of its file: of EXIF many are wrong"""
Tags = dict[int, tuple[int, ...]]


def tiff_entries(data: bytes) -> tuple[str, str, list[tuple[int, int, int, int]]]:
    """(byte order, form of a count, [(tag, type, count, offset of the value or of its place)]) of the first directory.

    struct.error where it ends too early.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    if entries > MOST_ENTRIES:
        raise ValueError(f"its directory has {entries:,} entries")
    first, step, word = (start + 8, 20, "Q") if big else (start + 2, 12, "I")
    form, found = struct.Struct(f"{order}HH{word}"), []
    for entry in range(first, first + step * entries, step):
        found.append((*form.unpack_from(data, entry), entry + form.size))
    return order, word, found


def tiff_tags(data: bytes, wanted: Collection[int]) -> Tags:
    """{tag: whole numbers} of the first directory of a TIFF or BigTIFF, as far as they are `wanted`.

    struct.error where it ends too early, ValueError for more entries or values than a picture has.
    """
    order, word, entries = tiff_entries(data)
    tags = {}
    for tag, kind, count, place in entries:
        if tag in wanted:
            letter = NUMBERS.get(kind, "I")
            if count * struct.calcsize(letter) > len(data) or count > MOST_VALUES and letter != "B":
                raise ValueError(f"its tag {tag} declares {count:,} values")
            form = f"{order}{count}{letter}"
            if struct.calcsize(form) > struct.calcsize(order + word):
                (place,) = struct.unpack_from(order + word, data, place)
            values = struct.unpack_from(form, data, place)
            if tags.setdefault(tag, values) != values:
                raise ValueError(f"it has two values of tag {tag}")
    return tags


def tiff_burden(data: bytes) -> tuple[float, str]:
    """(work in pixels, what is wrong with the file or "")."""
    _, _, entries = tiff_entries(data)
    content = sum(min(len(data), count * SIZES.get(kind, 1)) for _, kind, count, _ in entries)
    if content > 4 * len(data) + MOST_CONTENT:
        return 0, f"its directory declares {content:,} bytes of values, which are more than there are"
    tags = tiff_tags(data, (WIDTH, HEIGHT, BITS, SAMPLES, TILE_WIDTH, TILE_HEIGHT, *COUNTS))
    width, height, tile_width, tile_height = (tags.get(tag, (0,))[0] for tag in (256, 257, TILE_WIDTH, TILE_HEIGHT))
    samples = max(1, tags.get(SAMPLES, (1,))[0])
    if samples > MOST_SAMPLES:
        return 0, f"it has {samples:,} samples a pixel"
    depth = samples * max((1, *tags.get(BITS, ()))) / 8
    stored = sum(sum(tags.get(tag, ())) for tag in COUNTS)
    if stored > 2 * len(data) and stored > 2 * width * height * depth:
        return 0, f"its strips are {stored:,} bytes, which are more than there are"
    covered = width * height
    if tile_width and tile_height:
        covered = -(-width // tile_width) * tile_width * -(-height // tile_height) * tile_height
        if tile_width * tile_height * depth > 4 * max(width * height * depth, 1 << 20):
            return 0, f"its tiles of {tile_width} x {tile_height} pixels are larger than the picture"
    return covered * max(1, depth / 3), ""


def exif_fault(exif: bytes) -> str:
    """What of EXIF data, which is a TIFF without a picture, makes Pillow read more than there is."""
    if not exif:
        return ""
    try:
        content = sum(min(len(exif), count * SIZES.get(kind, 1)) for _, kind, count, _ in tiff_entries(exif)[2])
    except (struct.error, ValueError):
        return "its EXIF has more entries than there are" if len(exif) > MOST_CONTENT else ""
    return "" if content <= 4 * len(exif) + MOST_CONTENT else f"its EXIF declares {content:,} bytes of values"


def pieces(tags: Tags) -> tuple[int, int]:
    """(most strips or tiles of a picture, raw bytes of each), by its tags."""
    width, height, rows = tags[WIDTH][0], tags[HEIGHT][0], max(1, tags.get(ROWS, (1 << 31,))[0])
    bits, samples = max(tags.get(BITS, (1,))), max(1, tags.get(SAMPLES, (1,))[0])
    across, down = width, min(rows, height)
    if TILE_WIDTH in tags and TILE_HEIGHT in tags:
        across, down = max(1, tags[TILE_WIDTH][0]), max(1, tags[TILE_HEIGHT][0])
    planes = samples if tags.get(PLANES, (1,))[0] == 2 else 1
    count = -(-width // across) * -(-height // down) * planes
    return count, down * -(-across * bits * samples // (8 * planes))

"""Size of an image from the first bytes of its file: nothing is decoded, so a decompression bomb costs nothing.

Covers the formats that OpenCV decodes. Where a file holds several sizes (AVIF, JPEG 2000), the one that the decoder
allocates is given, or the largest.
"""

import re
import struct
from collections.abc import Collection, Iterator

JPEG_SIZE_MARKERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
JPEG_BARE_MARKERS = frozenset(range(0xD0, 0xD9)) | {0x01}
END_OF_IMAGE = b"\xff\xd9"
TIFF_NUMBERS = {1: "B", 3: "H", 4: "I", 7: "B", 16: "Q"}


def image_size(data: bytes) -> tuple[int, int] | None:
    """(width, height) that the header declares, or None when the bytes are of no known format or end too early."""
    for signature, read in READERS:
        if re.match(signature, data, re.DOTALL):
            try:
                return read(data)
            except (struct.error, LookupError, TypeError, ValueError, OverflowError):
                return None
    return None


def is_truncated(data: bytes) -> bool:
    """Whether a JPEG or PNG lacks its end marker, as a cut download does; False for other formats.

    Bytes after the end marker are allowed. Some OpenCV versions would fill the missing part of such a file silently.
    """
    if data[:3] == b"\xff\xd8\xff":
        scan = next((place for marker, place in jpeg_segments(data) if marker == 0xDA), len(data))
        return data.rfind(END_OF_IMAGE, scan) < 0
    if data[:4] == b"\x89PNG":
        end = data.rfind(b"IEND")
        return end < 0 or len(data) < end + 8
    return False


def jpeg_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """(marker, offset of its payload) up to and including the first scan."""
    place = 2
    while place + 4 <= len(data):
        if data[place] != 0xFF:
            place += 1
            continue
        marker = data[place + 1]
        if marker == 0xFF:
            place += 1
        elif marker in JPEG_BARE_MARKERS:
            place += 2
        else:
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
    if struct.unpack_from("<I", data, 14)[0] == 12:
        return struct.unpack_from("<HH", data, 18)
    width, height = struct.unpack_from("<ii", data, 18)
    return abs(width), abs(height)


def read_webp(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b"VP8X":
        return tuple(int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    width, height = struct.unpack_from("<HH", data, 26)
    return width & 0x3FFF, height & 0x3FFF


def read_tiff(data: bytes) -> tuple[int, int] | None:
    sides = tiff_tags(data, {256, 257})
    return (sides[256][0], sides[257][0]) if len(sides) == 2 else None


def tiff_tags(data: bytes, wanted: Collection[int]) -> dict[int, tuple[int, ...]]:
    """{tag: whole numbers} of the first directory of a TIFF or BigTIFF, as far as they are `wanted`.

    struct.error where it ends too early.
    """
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(order + "H", data, 2)[0] == 43
    (start,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, start)
    first, step, word = (start + 8, 20, "Q") if big else (start + 2, 12, "I")
    tags = {}
    for entry in range(first, first + step * min(entries, 4096), step):
        tag, kind = struct.unpack_from(order + "HH", data, entry)
        if tag in wanted:
            (count,) = struct.unpack_from(order + word, data, entry + 4)
            form = f"{order}{count}{TIFF_NUMBERS.get(kind, 'I')}"
            place = entry + 4 + struct.calcsize(order + word)
            if struct.calcsize(form) > struct.calcsize(order + word):
                (place,) = struct.unpack_from(order + word, data, place)
            tags[tag] = struct.unpack_from(form, data, place)
    return tags


def read_netpbm(data: bytes) -> tuple[int, int]:
    """P1 to P6 and the float PF, Pf: two numbers after the kind; comments run from # to the end of the line."""
    words = re.sub(rb"#[^\r\n]*", b" ", data[2:4096]).split(None, 2)
    return int(words[0]), int(words[1])


def read_pam(data: bytes) -> tuple[int, int]:
    return tuple(int(re.search(name + rb"\s+(\d+)", data[:4096])[1]) for name in (rb"\nWIDTH", rb"\nHEIGHT"))


def read_radiance(data: bytes) -> tuple[int, int]:
    found = re.search(rb"\n[-+]([XY]) (\d+) [-+][XY] (\d+)", data[:65536])
    first, second = int(found[2]), int(found[3])
    return (second, first) if found[1] == b"Y" else (first, second)


def read_jpeg2000(data: bytes) -> tuple[int, int]:
    right, bottom, left, top = struct.unpack_from(">IIII", data, data.index(b"\xff\x4f\xff\x51") + 8)
    return right - left, bottom - top


def read_avif(data: bytes) -> tuple[int, int] | None:
    found = [struct.unpack_from(">II", data, match.end() + 4) for match in re.finditer(b"ispe", data[: 1 << 20])]
    return max(found, key=lambda size: size[0] * size[1]) if found else None


READERS = (
    (rb"\xff\xd8\xff", read_jpeg),
    (rb"\x89PNG\r\n\x1a\n.{4}IHDR", lambda data: struct.unpack_from(">II", data, 16)),
    (rb"GIF8[79]a", lambda data: struct.unpack_from("<HH", data, 6)),
    (rb"BM", read_bmp),
    (rb"RIFF.{4}WEBP", read_webp),
    (rb"II[*+]\0|MM\0[*+]", read_tiff),
    (rb"P[1-6Ff]\s", read_netpbm),
    (rb"P7\s", read_pam),
    (rb"\x59\xa6\x6a\x95", lambda data: struct.unpack_from(">II", data, 4)),
    (rb"#\?R", read_radiance),
    (rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51", read_jpeg2000),
    (rb".{4}ftyp", read_avif),
)

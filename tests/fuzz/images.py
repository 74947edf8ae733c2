"""Pictures: every format, damaged as bytes and as what they are made of, by both decoders."""

import random
import struct
import zlib

from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.data.images.decode import applied_orientation, decode, decode_for
from ernie_vil2.data.images.limits import Limits
from ernie_vil2.data.images.pixels import preprocess
from ernie_vil2.errors import ImageError
from tests.fuzz.damage import EXTREMES, damaged
from tests.fuzz.example import Example
from tests.fuzz.image_files import valid
from tests.fuzz.judge import Target

SIDES = (0, 1, 2, 3, 255, 256, 4096, 9999, 10000, 65535, 65536, 1 << 20, (1 << 31) - 1, 1 << 31, (1 << 32) - 1)
CHUNKS = (b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"iCCP", b"zTXt", b"iTXt", b"eXIf", b"acTL", b"fcTL", b"fdAT",
    b"gAMA", b"cHRM", b"sBIT", b"pHYs")  # fmt: skip
TIFF_TAGS = (254, 256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 317, 320, 322, 323, 324, 325, 330, 338,
    339, 347, 512, 529, 530, 34665, 34675)  # fmt: skip
SEGMENTS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xD0, 0xD8, 0xD9, 0xDA, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2, 0xEE, 0xFE)


def handed(example: Example, folder: object) -> object:
    """Decode the picture of an example as it is told."""
    told, data = example.told, example.files["image"]
    profile, limits = PIXEL_PROFILES[told["profile"]], Limits(keep_damaged=told["keep"])
    if told["way"] == "pixels":
        return preprocess(data, profile, limits)
    applied_orientation(data, profile)
    if told["way"] == "short":
        return decode_for(data, 3, profile, limits)
    return decode(data, profile, limits)


TARGETS = {"image": Target(handed, (ImageError,), in_memory=True)}


def make(rng: random.Random) -> Example:
    """A damaged picture and how it is read."""
    form, data = rng.choice(valid())
    if rng.randrange(12) == 0:
        data = rng.choice(valid())[1][: rng.randrange(64)] + data[rng.randrange(64) :]
    elif form in STRUCTURES and rng.randrange(2):
        for _ in range(rng.choice((1, 1, 2, 3))):
            data = STRUCTURES[form](rng, data)
        data = damaged(rng, data) if rng.randrange(4) == 0 else data
    else:
        data = damaged(rng, data)
    told = {
        "profile": rng.choice(("official", "official", "bicubic", "brivl", "clip", "paddleclas")),
        "keep": not rng.randrange(2),
        "way": rng.choice(("decode", "decode", "decode", "short", "pixels")),
    }
    return Example("image", {"image": data}, told)


def png(rng: random.Random, data: bytes) -> bytes:
    """One chunk changed, doubled, moved or added, its checksum right."""
    chunks, place = [], 8
    while place + 12 <= len(data):
        length = int.from_bytes(data[place : place + 4], "big")
        chunks.append((data[place + 4 : place + 8], data[place + 8 : place + 8 + length]))
        place += 12 + length
    if not chunks:
        return damaged(rng, data)
    at = rng.randrange(len(chunks))
    kind, body = chunks[at]
    way = rng.randrange(7)
    if way < 2 and chunks[0][0] == b"IHDR" and len(chunks[0][1]) == 13:
        fields = list(struct.unpack(">IIBBBBB", chunks[0][1]))
        field = rng.randrange(7)
        fields[field] = rng.choice(SIDES) if field < 2 else rng.choice((0, 1, 2, 3, 4, 6, 8, 16, 255))
        chunks[0] = (b"IHDR", struct.pack(">IIBBBBB", *fields))
    elif way == 2:
        chunks.insert(at, (kind, body))
    elif way == 3:
        del chunks[at]
    elif way == 4:
        chunks[at] = (kind, damaged(rng, body))
    elif way == 5:
        inside = rng.choice(
            (
                b"",
                b"name\x00\x00" + zlib.compress(bytes(1 << rng.choice((4, 16, 22)))),
                bytes(rng.randrange(800)),
                b"\xff" * 26,
            )
        )
        chunks.insert(at, (rng.choice(CHUNKS), inside))
    else:
        pixels = zlib.compress(bytes(rng.choice((0, 1, 100, 1 << 16))))
        chunks = [(name, pixels if name == b"IDAT" else inside) for name, inside in chunks]
    parts = [data[:8]]
    for place, (kind, body) in enumerate(chunks):
        length = rng.choice(SIDES) if rng.randrange(20) == 0 and place == at else len(body)
        parts.append(struct.pack(">I", length) + kind + body + struct.pack(">I", zlib.crc32(kind + body)))
    return b"".join(parts)


def jpeg(rng: random.Random, data: bytes) -> bytes:
    """One segment changed, doubled, taken out or added."""
    segments, place = [], 2
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != 0xDA:
        end = place + 2 + int.from_bytes(data[place + 2 : place + 4], "big")
        segments.append(data[place:end])
        place = end
    rest = data[place:]
    if not segments:
        return damaged(rng, data)
    at, way = rng.randrange(len(segments)), rng.randrange(7)
    if way < 2:
        for number, segment in enumerate(segments):
            if segment[1] in (0xC0, 0xC1, 0xC2) and len(segment) > 10:
                field = rng.choice((("H", 5), ("H", 7), ("B", 4), ("B", 9), ("B", 11), ("B", 10)))
                value = rng.choice(SIDES) & (0xFFFF if field[0] == "H" else 0xFF)
                segment = bytearray(segment)
                if field[1] < len(segment) - 1:
                    struct.pack_into(">" + field[0], segment, field[1], value)
                segments[number] = bytes(segment)
    elif way == 2:
        segments.insert(at, segments[at])
    elif way == 3:
        del segments[at]
    elif way == 4:
        segments[at] = segments[at][:4] + damaged(rng, segments[at][4:])
    elif way == 5:
        inside = rng.choice(
            (
                b"Exif\x00\x00" + exif(rng),
                b"ICC_PROFILE\x00\x01\x01" + bytes(40),
                b"Adobe\x00d\x00\x00\x00\x00" + bytes([rng.randrange(4)]),
                bytes(rng.randrange(70)),
                b"MPF\x00" + exif(rng),
                b"Photoshop 3.0\x008BIM" + bytes(20),
            )
        )
        segments.insert(at, bytes((0xFF, rng.choice(SEGMENTS))) + struct.pack(">H", len(inside) + 2) + inside)
    else:
        rest = damaged(rng, rest)
    return data[:2] + b"".join(segments) + rest


def exif(rng: random.Random) -> bytes:
    """A TIFF directory with an orientation, and an extreme entry."""
    order = rng.choice("<>")
    entries = [(0x112, 3, 1, rng.choice((0, 1, 3, 6, 8, 9, 65535)))]
    entries.append(
        (rng.choice(TIFF_TAGS), rng.randrange(14), rng.choice(EXTREMES) & 0xFFFFFFFF, rng.choice(EXTREMES) & 0xFFFFFFFF)
    )
    rng.shuffle(entries)
    head = (b"II*\x00" if order == "<" else b"MM\x00*") + struct.pack(order + "IH", 8, len(entries))
    for tag, kind, length, value in entries:
        short = kind == 3  # a value of 16 bits lies at the beginning of its field
        head += struct.pack(
            order + ("HHIHH" if short else "HHII"), tag, kind, length, *((value & 0xFFFF, 0) if short else (value,))
        )
    return head + struct.pack(order + "I", rng.choice((0, 8, 1 << 31)))


def tiff(rng: random.Random, data: bytes) -> bytes:
    """One field of one entry of the directory changed, or an entry added over another."""
    if data[:4] not in (b"II*\x00", b"MM\x00*"):
        return damaged(rng, data)
    order = "<" if data[:2] == b"II" else ">"
    start = struct.unpack_from(order + "I", data, 4)[0]
    if start + 2 > len(data):
        return damaged(rng, data)
    count = struct.unpack_from(order + "H", data, start)[0]
    found = bytearray(data)
    if not count or start + 2 + 12 * count > len(data):
        return damaged(rng, data)
    entry = start + 2 + 12 * rng.randrange(count)
    way = rng.randrange(6)
    value = rng.choice((*SIDES, *range(9), start, 32773, 32946, 34676, 50000)) & 0xFFFFFFFF
    if way == 0:
        struct.pack_into(order + "H", found, entry, rng.choice(TIFF_TAGS))
    elif way == 1:
        struct.pack_into(order + "H", found, entry + 2, rng.randrange(20))
    elif way == 2:
        struct.pack_into(order + "I", found, entry + 4, value)
    elif way == 3 and start + 6 + 12 * count <= len(data):
        struct.pack_into(order + "I", found, start + 2 + 12 * count, rng.choice((start, 8, value)))
    elif struct.unpack_from(order + "H", found, entry + 2)[0] == 3:
        struct.pack_into(order + "H", found, entry + 8, value & 0xFFFF)
    else:
        struct.pack_into(order + "I", found, entry + 8, value)
    return bytes(found)


def fields_of(*places: tuple[str, int]):
    """Damage that makes one of these (format, offset) extreme."""

    def change(rng: random.Random, data: bytes) -> bytes:
        code, place = rng.choice(places)
        size = struct.calcsize(code)
        if place + size > len(data):
            return damaged(rng, data)
        value = rng.choice((*SIDES, *range(33))) & ((1 << 8 * size) - 1)
        return data[:place] + struct.pack(code, value) + data[place + size :]

    return change


def pnm(rng: random.Random, data: bytes) -> bytes:
    """Another number in the header."""
    words = data.split(None, 5)
    if len(words) < 5:
        return damaged(rng, data)
    words[rng.randrange(5)] = rng.choice(
        (
            b"0",
            b"-1",
            b"65536",
            b"99999999999999999999",
            b"1e9",
            b"nan",
            b"#",
            b"P6",
            b"P7",
            str(rng.choice(SIDES)).encode(),
        )
    )
    return b"\n".join(words)


STRUCTURES = {
    "PNG": png,
    "JPEG": jpeg,
    "TIFF": tiff,
    "PPM": pnm,
    "BMP": fields_of(("<I", 2), ("<I", 10), ("<I", 14), ("<I", 18), ("<I", 22), ("<H", 26), ("<H", 28), ("<I", 30),
    ("<I", 34), ("<I", 46)),
    "DIB": fields_of(("<I", 0), ("<I", 4), ("<I", 8), ("<H", 12), ("<H", 14), ("<I", 16), ("<I", 32)),
    "GIF": fields_of(("<H", 6), ("<H", 8), ("<B", 10), ("<B", 11), ("<B", 13), ("<H", 14), ("<H", 16)),
    "WEBP": fields_of(("<I", 4), ("<I", 12), ("<I", 16), ("<I", 20), ("<I", 24), ("<H", 26), ("<H", 28), ("<I", 30)),
    "TGA": fields_of(("<B", 0), ("<B", 1), ("<B", 2), ("<H", 3), ("<H", 5), ("<B", 7), ("<H", 12), ("<H", 14), ("<B",
    16), ("<B", 17)),
    "ICO": fields_of(("<H", 2), ("<H", 4), ("<B", 6), ("<B", 7), ("<H", 12), ("<I", 14), ("<I", 18), ("<I", 22),
    ("<I", 26), ("<I", 30), ("<H", 36)),
    "PCX": fields_of(("<B", 1), ("<B", 2), ("<B", 3), ("<H", 4), ("<H", 6), ("<H", 8), ("<H", 10), ("<B", 65), ("<H",
    66)),
    "AVIF": fields_of(*((">I", 4 * place) for place in range(60))),
    "JPEG2000": fields_of(*((">I", 4 * place) for place in range(30)), *((">H", 2 * place) for place in range(70))),
}  # fmt: skip
"""{format: damage that knows what it is made of}"""

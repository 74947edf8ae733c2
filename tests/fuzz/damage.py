"""Damage to bytes of any kind: some changed, cut, doubled, moved, numbers made extreme."""

import random
import struct

EXTREMES = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 10**6, 1 << 40)
WIDE = (1 << 63, (1 << 64) - 1, (1 << 63) - 1)
TOKENS = (
    b"\x00",
    b"\xff",
    b"\n",
    b"\r\n",
    b"\t",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"\x00" * 64,
    b"%s",
    b"\x1b[2J",
    b"\xed\xa0\x80",
)


def changed(rng: random.Random, data: bytes) -> bytes:
    """One to eight bytes with other values."""
    found = bytearray(data)
    for _ in range(rng.choice((1, 1, 2, 4, 8)) if found else 0):
        found[rng.randrange(len(found))] = rng.choice((rng.randrange(256), 0, 255, 1, 0x80))
    return bytes(found)


def flipped(rng: random.Random, data: bytes) -> bytes:
    """One bit turned over."""
    found = bytearray(data)
    if found:
        found[rng.randrange(len(found))] ^= 1 << rng.randrange(8)
    return bytes(found)


def cut(rng: random.Random, data: bytes) -> bytes:
    """The beginning alone."""
    return data[: rng.randrange(len(data) + 1)]


def without(rng: random.Random, data: bytes) -> bytes:
    """A piece taken out."""
    start, end = span(rng, data)
    return data[:start] + data[end:]


def doubled(rng: random.Random, data: bytes) -> bytes:
    """A piece twice, or many times."""
    start, end = span(rng, data)
    times = rng.choice((2, 2, 3, 50))
    return data[:start] + data[start:end] * (times if end - start < 200 else 2) + data[end:]


def spliced(rng: random.Random, data: bytes) -> bytes:
    """A piece over another place."""
    start, end = span(rng, data)
    place = rng.randrange(len(data) + 1)
    return data[:place] + data[start:end] + data[place + (end - start) * rng.randrange(2) :]


def extreme(rng: random.Random, data: bytes) -> bytes:
    """A number of one to eight bytes at its limits, in either order."""
    code, most = rng.choice((("B", 8), ("H", 16), ("I", 32), ("I", 32), ("Q", 64)))
    size = struct.calcsize(code)
    if len(data) < size:
        return data
    value = rng.choice(EXTREMES + WIDE if code == "Q" else EXTREMES) & ((1 << most) - 1)
    place = rng.randrange(len(data) - size + 1) if rng.randrange(3) else rng.randrange(min(64, len(data) - size + 1))
    return data[:place] + struct.pack(rng.choice("<>") + code, value) + data[place + size :]


def inserted(rng: random.Random, data: bytes) -> bytes:
    """Bytes that mean something to some reader."""
    place = rng.choice((0, len(data), rng.randrange(len(data) + 1)))
    return data[:place] + rng.choice(TOKENS) + data[place:]


def span(rng: random.Random, data: bytes) -> tuple[int, int]:
    start = rng.randrange(len(data) + 1)
    return start, min(len(data), start + rng.choice((1, 2, 4, 16, 64, 512)))


WAYS = (changed, changed, changed, flipped, cut, without, doubled, spliced, extreme, extreme, inserted)


def damaged(rng: random.Random, data: bytes) -> bytes:
    """`data` after one to three kinds of damage."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        data = rng.choice(WAYS)(rng, data)
    return data

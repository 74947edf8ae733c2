"""The boxes of an AVIF file (ISO/IEC 14496-12, 23008-12), as far as they lead to the sizes of its AV1 pictures."""

import struct
from collections.abc import Iterator
from itertools import islice

from .iso_boxes import MOST_BOXES, boxes

CONTAINERS = (b"meta", b"moov", b"trak", b"mdia", b"minf", b"stbl", b"iprp", b"ipco")
WEIGHT, BYTE = 2, 3
"""Work of a pixel and of a byte: decoded as planes beside the pixels that they become, seven million bytes a second"""
SEQUENCE, FRAMES = 1, (3, 4, 6)
MOST_ITEMS, MOST_UNITS, LEAST_EXTENT = 20_000, 64, 256
AVIF = (b"avif", b"avis")


def brands(data: bytes) -> list[bytes]:
    """The brands that the first box of a file names."""
    end = min(int.from_bytes(data[:4], "big"), 4096)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


def avif_burden(data: bytes) -> tuple[float, str]:
    """(work in pixels, ""): of the largest picture, of all items (many tiles may name one), or of bytes."""
    found = list(islice(boxes(data, 0, len(data), CONTAINERS), MOST_BOXES))
    largest = max(width * height for width, height in avif_sizes(data))
    items = sum(width * height for width, height in item_sizes(data, found))
    return max(WEIGHT * largest, items, BYTE * len(data)), ""


def avif_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """(width, height) of every picture and tile that is declared, by a box or by the AV1 data itself."""
    found = list(islice(boxes(data, 0, len(data), CONTAINERS), MOST_BOXES))
    yield from item_sizes(data, found)
    for kind, start, end in found:
        if kind == b"ispe":
            yield struct.unpack_from(">II", data, start + 4)
        elif kind == b"av1C":
            yield from sequence_sizes(data, start + 4, end)
        elif kind in (b"stco", b"co64"):
            form = ">I" if kind == b"stco" else ">Q"
            if end - start >= 8 + struct.calcsize(form):
                yield from sequence_sizes(data, *struct.unpack_from(form, data, start + 8))
        elif kind in (b"mdat", b"idat"):
            yield from sequence_sizes(data, start)


def item_sizes(data: bytes, found: list[tuple[bytes, int, int]]) -> Iterator[tuple[int, int]]:
    """(width, height) by the AV1 data of every item that an `iloc` among the boxes places."""
    bases = [0, *(start for kind, start, _ in found if kind == b"idat")]
    for start, end in ((start, end) for kind, start, end in found if kind == b"iloc"):
        for place in item_places(data[start:end]):
            for base in bases:
                yield from sequence_sizes(data, base + place)


def item_places(box: bytes) -> Iterator[int]:
    """Where in the file the items of an `iloc` begin."""
    version, sizes = box[0], int.from_bytes(box[4:6], "big")
    offset_size, length_size, base_size, index_size = (sizes >> shift & 15 for shift in (12, 8, 4, 0))
    at = 6

    def take(count):
        nonlocal at
        at += count
        if at > len(box):
            raise ValueError("the places of its items are cut")
        return int.from_bytes(box[at - count : at], "big")

    items = take(4 if version == 2 else 2)
    if items > MOST_ITEMS:
        raise ValueError(f"it has {items:,} items")
    for _ in range(items):
        take(4 if version == 2 else 2)
        if version:
            take(2)
        take(2)
        base, extents = take(base_size), take(2)
        for extent in range(extents):
            if version:
                take(index_size)
            place, length = base + take(offset_size), take(length_size)
            if extent == 0:
                yield place
                if extents > 1 and 0 < length < LEAST_EXTENT:
                    raise ValueError("an item of it is in small pieces")


class Bits:
    """The bits of a few bytes, one number after the other; IndexError at their end."""

    def __init__(self, data: bytes):
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise IndexError(count)
        return self.value >> self.left & (1 << count) - 1


def sequence_sizes(data: bytes, at: int, end: int | None = None) -> Iterator[tuple[int, int]]:
    """(width, height) of the sequence headers before the first frame of AV1 data at an offset."""
    end = len(data) if end is None else end
    for _ in range(MOST_UNITS):
        if at + 2 > end or data[at] & 0x81 or not data[at] & 2:  # a reserved bit, or a unit without its size
            return
        kind = data[at] >> 3 & 15
        at += 2 if data[at] & 4 else 1
        size = shift = 0
        while at < end and shift < 56:
            size |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                break
        if kind == SEQUENCE:
            try:
                yield sequence_size(Bits(data[at : min(end, at + size, at + 1024)]))
            except IndexError:
                return
        if kind in FRAMES:
            return
        at += size


def sequence_size(bits: Bits) -> tuple[int, int]:
    """(most width, most height) of frames, by a sequence header (AV1 specification, 5.5.1)."""
    bits.take(3 + 1)
    if bits.take(1):  # reduced still picture header
        bits.take(5)
    else:
        model, lengths = False, 0
        if bits.take(1):
            bits.take(64)
            if bits.take(1):
                zeros = 0
                while not bits.take(1):
                    zeros += 1
                bits.take(zeros)
            if model := bits.take(1):
                lengths = bits.take(5) + 1
                bits.take(32 + 10)
        delays = bits.take(1)
        for _ in range(bits.take(5) + 1):
            bits.take(12)
            if bits.take(5) > 7:
                bits.take(1)
            if model and bits.take(1):
                bits.take(2 * lengths + 1)
            if delays and bits.take(1):
                bits.take(4)
    wide, high = bits.take(4) + 1, bits.take(4) + 1
    return bits.take(wide) + 1, bits.take(high) + 1

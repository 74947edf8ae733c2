"""The boxes of an AVIF file (ISO/IEC 14496-12, 23008-12), as far as they lead to the sizes of its AV1 pictures."""

import struct
from collections.abc import Iterator

CONTAINERS = (b"moov", b"trak", b"mdia", b"minf", b"stbl", b"iprp", b"ipco")
FULL = (b"meta",)
MOST_BOXES, MOST_ITEMS, DEEPEST = 20_000, 20_000, 12
HEIC = (b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"mif1", b"msf1")
AVIF = (b"avif", b"avis")


def brands(data: bytes) -> list[bytes]:
    """The brands that the first box of a file names."""
    end = min(int.from_bytes(data[:4], "big"), 4096)
    return [data[8:12], *(data[at : at + 4] for at in range(16, end - 3, 4))]


def boxes(data: bytes, start: int, end: int, depth: int = 0) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of the content of every box from `start`, and of those in the boxes that hold others."""
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if size == 0 else start + size
        if stop < start + head or stop > end:
            return
        yield kind, start + head, stop
        if kind in CONTAINERS + FULL and depth < DEEPEST:
            yield from boxes(data, start + head + 4 * (kind in FULL), stop, depth + 1)
        start = stop


def avif_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """(width, height) of every picture and tile that is declared, by a box or by the AV1 data itself."""
    for number, (kind, start, end) in enumerate(boxes(data, 0, len(data))):
        if number > MOST_BOXES:
            raise ValueError(f"it has over {MOST_BOXES:,} boxes")
        if kind == b"ispe":
            yield struct.unpack_from(">II", data, start + 4)
        elif kind == b"av1C":
            yield from sequence_sizes(data[start + 4 : end])
        elif kind == b"iloc":
            for place in item_places(data[start:end], data):
                yield from sequence_sizes(data[place : place + 256])
        elif kind in (b"stco", b"co64"):
            form = ">I" if kind == b"stco" else ">Q"
            if end - start >= 8 + struct.calcsize(form):
                (place,) = struct.unpack_from(form, data, start + 8)
                yield from sequence_sizes(data[place : place + 256])
        elif kind in (b"mdat", b"idat"):
            yield from sequence_sizes(data[start : start + 256])


def item_places(box: bytes, data: bytes) -> Iterator[int]:
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
            place = base + take(offset_size)
            take(length_size)
            if extent == 0 and place < len(data):
                yield place


class Bits:
    """The bits of a few bytes, one number after the other; IndexError at their end."""

    def __init__(self, data: bytes):
        self.value, self.left = int.from_bytes(data, "big"), 8 * len(data)

    def take(self, count: int) -> int:
        self.left -= count
        if self.left < 0:
            raise IndexError(count)
        return self.value >> self.left & (1 << count) - 1


def sequence_sizes(data: bytes) -> Iterator[tuple[int, int]]:
    """(width, height) of the sequence header that AV1 data begins with, behind other units without pixels, if any."""
    at = 0
    while at + 2 <= len(data):
        header = data[at]
        kind = header >> 3 & 15
        if header & 0x81 or not header & 2:  # a reserved bit, or a unit without its size
            return
        at += 2 if header & 4 else 1
        size = shift = 0
        while at < len(data) and shift < 56:
            size |= (data[at] & 127) << shift
            shift += 7
            at += 1
            if not data[at - 1] & 128:
                break
        if kind == 1:
            try:
                yield sequence_size(Bits(data[at : at + size]))
            except IndexError:
                return
        if kind not in (1, 2, 5, 15):
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

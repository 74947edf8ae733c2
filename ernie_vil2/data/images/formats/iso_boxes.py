"""Boxes of the ISO base media file format (ISO/IEC 14496-12), of which AVIF and JP2 files consist."""

import struct
from collections.abc import Collection, Iterator

FULL = (b"meta",)
"""Boxes with a version before the boxes in them"""
MOST_BOXES, DEEPEST = 20_000, 12


def boxes(
    data: bytes, start: int, end: int, containers: Collection[bytes], depth: int = 0
) -> Iterator[tuple[bytes, int, int]]:
    """(kind, start, end) of the content of every box from `start`, and of those in `containers`.

    ValueError where there are more than any picture has.
    """
    for _ in range(MOST_BOXES):
        if start + 8 > end:
            return
        size, kind = struct.unpack_from(">I4s", data, start)
        head = 8
        if size == 1:
            (size,), head = struct.unpack_from(">Q", data, start + 8), 16
        stop = end if size == 0 else start + size
        if stop < start + head:
            return
        yield kind, start + head, min(stop, end)
        if kind in containers and depth < DEEPEST:
            yield from boxes(data, start + head + 4 * (kind in FULL), min(stop, end), containers, depth + 1)
        start = stop
    raise ValueError(f"it has over {MOST_BOXES:,} boxes")

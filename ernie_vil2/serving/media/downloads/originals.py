"""The bytes of a picture or a video as they are, or a part of them, streamed from the open file."""

import os
from datetime import datetime, timezone
from email.utils import format_datetime, parsedate_to_datetime

import numpy as np
from starlette.datastructures import Headers
from starlette.responses import Response

from ....data.images.libraries import opencv
from ..row_files import RowFile
from ..row_pictures import RowPictures
from ..rows import PictureRow
from .byte_range import Unsatisfiable, asked_range
from .file_names import disposition, safe_name
from .media_types import UNKNOWN, media_type_of, suffix_of
from .streamed import Pieces, StreamedResponse

PIECE = 256 << 10
"""Bytes that are read at once"""
HEAD = 1024
POLICY = "default-src 'none'; img-src 'self'; media-src 'self'; style-src 'unsafe-inline'; sandbox allow-same-origin"
"""What a browser that opens the file by itself may do with it: show it"""
LATEST = 253_402_300_799
"""The last second that a header can name"""


class HeldBytes:
    """The picture of a row that has no file, as a RowFile gives it."""

    def __init__(self, data: bytes) -> None:
        self.data, self.size, self.mtime, self.name = data, len(data), 0, b""

    def read(self, count: int, start: int = 0) -> bytes:
        """At most `count` bytes from a place on."""
        return self.data[start : start + count]

    def close(self) -> None:
        """Nothing is open."""


def opened_original(pictures: RowPictures, row: PictureRow) -> RowFile | HeldBytes:
    """What a row is a picture of, open, as PNG what was never a file; PictureMissing where it is not there."""
    if row.path:
        return pictures.files.open(row)
    found = pictures.picture(row)
    return HeldBytes(png_of(found) if isinstance(found, np.ndarray) else found)


def png_of(rgb: np.ndarray) -> bytes:
    """The bytes of a file of pixels, RGB uint8 [H, W, 3]."""
    return opencv().imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()


def pieces_of(file: RowFile | HeldBytes, part: range) -> Pieces:
    """Yield the bytes of a part; fewer where the file has become shorter, and then the connection breaks off."""
    at = part.start
    while at < part.stop and (piece := file.read(min(PIECE, part.stop - at), at)):
        at += len(piece)
        yield piece


def original_response(file: RowFile | HeldBytes, row: PictureRow, asked: Headers, body: bool = True) -> Response:
    """The answer to a request for an open original, which it closes. asked: the headers of the request; body: whether
    more than the headers is wanted."""
    try:
        headers = headers_of(file, row)
        if is_known(asked.get("if-none-match"), headers["ETag"]):
            file.close()
            kept = ("ETag", "Last-Modified", "Cache-Control")
            return Response(status_code=304, headers={name: headers[name] for name in kept if name in headers})
        status, part = 200, range(file.size)
        wanted = asked.get("range") if is_same(asked.get("if-range"), headers) else None
        try:
            if (some := asked_range(wanted, file.size)) is not None:
                status, part = 206, some
                headers["Content-Range"] = f"bytes {part.start}-{part.stop - 1}/{file.size}"
        except Unsatisfiable:
            file.close()
            return Response(status_code=416, headers={"Content-Range": f"bytes */{file.size}"})
        headers["Content-Length"] = str(len(part))
        if body:
            return StreamedResponse(pieces_of(file, part), file.close, status, headers)
        file.close()
        return Response(status_code=status, headers=headers)
    except BaseException:
        file.close()
        raise


def headers_of(file: RowFile | HeldBytes, row: PictureRow) -> dict[str, str]:
    """The headers of a whole original."""
    head = file.read(HEAD)
    kind = media_type_of(head)
    name = safe_name(file.name) if file.name else safe_name(row.key) + suffix_of(head) * (not has_suffix(row.key))
    headers = {
        "Content-Type": kind,
        "Content-Disposition": disposition("attachment" if kind == UNKNOWN else "inline", name),
        "Accept-Ranges": "bytes",
        "ETag": f'"{row.digest.hex()}"',
        "Cache-Control": "private, no-cache",
        "X-Content-Type-Options": "nosniff",
        "Content-Security-Policy": POLICY,
    }
    seconds = file.mtime // 10**9
    if 0 < seconds <= LATEST:
        headers["Last-Modified"] = format_datetime(datetime.fromtimestamp(seconds, timezone.utc), usegmt=True)
    return headers


def has_suffix(key: str) -> bool:
    """Whether an id looks like the name of a file."""
    return len(os.path.splitext(key)[1]) > 1


def is_known(known: str | None, tag: str) -> bool:
    """Whether the header If-None-Match names a tag."""
    return known is not None and (
        known.strip() == "*" or tag in [one.strip().removeprefix("W/") for one in known.split(",")]
    )


def is_same(condition: str | None, headers: dict[str, str]) -> bool:
    """Whether the header If-Range lets a range be given: it is not there, or names the content as it is."""
    if condition is None or condition.strip() == headers["ETag"]:
        return True
    if '"' in condition or "Last-Modified" not in headers:
        return False
    try:
        return parsedate_to_datetime(condition) == parsedate_to_datetime(headers["Last-Modified"])
    except (TypeError, ValueError):
        return False

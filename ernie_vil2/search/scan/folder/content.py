"""What a file holds, read once: its bytes, their digest, and what a row says of them."""

import calendar
import hashlib
import os
import stat
import time
from dataclasses import dataclass

import numpy as np

from ....data.images.exif import exif_facts
from ....data.images.headers import image_size
from ....data.images.limits import Limits, check_bytes
from ....errors import ImageError, advice, exhausted
from ...store.columns import ImageRow
from ..fault import Fault
from .listing import READING, open_below

DIGEST = 16
BLOCK, BLOCKS = 1 << 20, 64
"""Bytes that are hashed at once, and how many of these stand for a large video"""
CHANGING = "changes while it is read"
TURNED = (5, 6, 7, 8)
"""EXIF orientations that change the sides over"""


@dataclass(frozen=True)
class Content:
    """A picture as it was read: the bytes of its file or its pixels, and what a row says of it. A video has no
    `picture`: its frames are decoded when they are needed."""

    picture: bytes | np.ndarray | None
    digest: bytes
    size: int = 0
    mtime: int = 0
    width: int = 0
    height: int = 0
    date: int | None = None

    def facts(self) -> dict[str, int | bytes | None]:
        """The fields of an ImageRow that the content decides."""
        names = ("digest", "size", "mtime", "width", "height", "date")
        return {name: getattr(self, name) for name in names}


@dataclass(frozen=True)
class Item:
    """A file that was read. own: ids of the rows that its path has in the index."""

    path: bytes
    key: str
    content: Content
    own: tuple[int, ...]


def clock_time(mtime: int) -> int:
    """Nanoseconds since 1970 as what the clock on the wall showed, in seconds: EXIF has no other time."""
    return calendar.timegm(time.localtime(mtime // 10**9))


def digest_of(data: bytes) -> bytes:
    """BLAKE2b of bytes, 16 bytes long."""
    return hashlib.blake2b(data, digest_size=DIGEST).digest()


def digest_of_pixels(pixels: np.ndarray) -> bytes:
    """BLAKE2b of the shape and the values of RGB uint8 [H, W, 3], 16 bytes long."""
    return digest_of(str(pixels.shape).encode() + np.ascontiguousarray(pixels).tobytes())


def content_of_bytes(data: bytes, size: int = 0, mtime: int = 0) -> Content:
    """The Content of an encoded picture. size, mtime: of its file, where it has one."""
    width, height = image_size(data) or (0, 0)
    turned, date = exif_facts(data)
    if turned in TURNED:
        width, height = height, width
    if date is None and mtime:
        date = clock_time(mtime)
    return Content(data, digest_of(data), size, mtime, width, height, date)


def content_of_pixels(pixels: np.ndarray) -> Content:
    """The Content of RGB uint8 [H, W, 3]."""
    return Content(pixels, digest_of_pixels(pixels), width=pixels.shape[1], height=pixels.shape[0])


def read_picture(folder: int, root: int, path: bytes, limits: Limits, follow: bool = False) -> Content | Fault:
    """The Content of a picture below an open folder, or why there is none; only a regular file is read, and no link
    unless to `follow` them."""
    return _read(folder, root, path, follow, lambda file, status: _picture(file, status, limits))


def read_video(folder: int, root: int, path: bytes, follow: bool = False) -> Content | Fault:
    """The Content of a video: of a large one its size and blocks of it are hashed."""
    return _read(folder, root, path, follow, _video)


def _read(folder, root, path, follow, content):
    """What `content` makes of an open file and its status, or a Fault: also where the file changed meanwhile."""
    status = None
    try:
        file = open_below(folder, path, READING | (0 if follow else os.O_NOFOLLOW))
        try:
            status = os.fstat(file)
            if not stat.S_ISREG(status.st_mode):
                return Fault(root, path, 0, 0, "unreadable file", "is no regular file; give a picture file", True)
            found = content(file, status)
            after = os.fstat(file)
        finally:
            os.close(file)
    except ImageError as error:
        return fault_of(root, path, error, status.st_size, status.st_mtime_ns)
    except OSError as error:
        if exhausted(error):
            raise
        size, mtime = (status.st_size, status.st_mtime_ns) if status else (0, 0)
        reason = f"cannot be read ({error.strerror}); {advice(error, 'correct its permissions')}"
        return Fault(root, path, size, mtime, "unreadable file", reason, True)
    if (after.st_size, after.st_mtime_ns) != (status.st_size, status.st_mtime_ns) or found is None:
        reason = f"{CHANGING}; it is tried again by the next update"
        return Fault(root, path, status.st_size, status.st_mtime_ns, CHANGING, reason, True)
    return found


def _picture(file, status, limits):
    """The Content of an open picture; None where it is not as long as it was."""
    check_bytes(status.st_size, "", limits)
    parts, left = [], status.st_size + 1
    while left and (part := os.read(file, left)):
        parts.append(part)
        left -= len(part)
    data = b"".join(parts)
    return content_of_bytes(data, status.st_size, status.st_mtime_ns) if len(data) == status.st_size else None


def _video(file, status):
    """The Content of an open video, without its frames."""
    digest, mtime = digest_of_video(file, status.st_size), status.st_mtime_ns
    return Content(None, digest, status.st_size, mtime, date=clock_time(mtime))


def digest_of_video(file: int, size: int) -> bytes:
    """BLAKE2b of an open video of `size` bytes, 16 bytes long; of a large one its size and blocks of it are hashed."""
    step = BLOCK if size <= BLOCK * BLOCKS else size // BLOCKS
    digest = hashlib.blake2b(str(size).encode(), digest_size=DIGEST)
    for start in range(0, size, step):
        digest.update(os.pread(file, BLOCK, start))
    return digest.digest()


def fault_of(root: int, path: bytes, error: Exception, size: int = 0, mtime: int = 0) -> Fault:
    """The Fault of an error of reading or decoding; the words before its reason, which name the bytes, are left out."""
    reason = str(error)
    head, colon, rest = reason.partition(": ")
    if colon and (not head or head.startswith("an image of ")):
        reason = rest
    return Fault(root, path, size, mtime, getattr(error, "cause", None) or "broken image", reason)


def file_row(root: int, key: str, path: bytes, content: Content, shown: int | None = None) -> ImageRow:
    """The row of a file below a root's folder, or of a frame of it that is `shown` after so many milliseconds."""
    folder = os.path.dirname(key) if path else ""
    return ImageRow(root=root, key=key, path=path, folder=folder, time=shown, **content.facts())

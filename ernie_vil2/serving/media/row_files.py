"""The file of a row, opened so that nothing but what was indexed can leave: a regular file below its folder, reached
through no link, or one of the very content that the index knows."""

import hashlib
import os
import stat
import threading
from collections import OrderedDict
from types import TracebackType

from ...errors import exhausted
from ...search.scan.folder.content import BLOCK, DIGEST, digest_of_video
from ...search.scan.folder.listing import READING
from .missing import CHANGED, GONE, PictureMissing
from .rows import PictureRow

FOLDER = READING | os.O_DIRECTORY
REMEMBERED = 4096
"""Files whose content was compared with the digest of a row, and found equal"""


class RowFile:
    """An open file; a context that closes it. size, mtime (nanoseconds): when it was opened; name: bytes."""

    def __init__(self, descriptor: int, name: bytes) -> None:
        self._file, self.name = os.fdopen(descriptor, "rb", buffering=0), name
        self.descriptor, self.status = descriptor, os.fstat(descriptor)
        self.size, self.mtime = self.status.st_size, self.status.st_mtime_ns

    def read(self, count: int, start: int = 0) -> bytes:
        """At most `count` bytes from a place on; all of them unless the file has become shorter."""
        parts, left = [], count
        while left and (part := os.pread(self.descriptor, left, start + count - left)):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)

    def close(self) -> None:
        """Let go of the file; again is allowed."""
        self._file.close()

    def __enter__(self) -> "RowFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class RowFiles:
    """The files of rows. Threads may share it."""

    def __init__(self) -> None:
        self._equal: OrderedDict[tuple[int, ...], bytes] = OrderedDict()
        self._lock = threading.Lock()

    def open(self, row: PictureRow) -> RowFile:
        """The file of a row that has one, of the content that the index knows; PictureMissing otherwise.

        In a folder in which links are not followed, size and time tell that it is as it was, or else its digest. A file
        that a link may lead to must have the digest.
        """
        try:
            descriptor = opened_below(row.origin.folder, row.path) if row.is_walked else os.open(row.location, READING)
        except (OSError, ValueError) as error:
            if exhausted(error):
                raise
            raise PictureMissing(GONE) from None
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise PictureMissing(GONE)
        file = RowFile(descriptor, os.path.basename(row.path))
        try:
            same = row.is_walked and (file.size, file.mtime) == (row.size, row.mtime)
            if not same and not self._has_digest(file, row):
                raise PictureMissing(CHANGED)
        except BaseException:
            file.close()
            raise
        return file

    def _has_digest(self, file, row):
        """Whether the content of a file is that of a row; read once as long as the file is as it is."""
        if file.size != row.size:
            return False
        status = file.status
        key = status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
        with self._lock:
            known = self._equal.get(key)
        if known != row.digest and digest_of_file(file, row.is_frame) != row.digest:
            return False
        with self._lock:
            self._equal[key] = row.digest
            self._equal.move_to_end(key)
            while len(self._equal) > REMEMBERED:
                self._equal.popitem(last=False)
        return True


def digest_of_file(file: RowFile, video: bool) -> bytes:
    """The digest of an open file, as a scan makes it of a picture or of a video."""
    if video:
        return digest_of_video(file.descriptor, file.size)
    digest = hashlib.blake2b(digest_size=DIGEST)
    for start in range(0, file.size, BLOCK):
        digest.update(file.read(BLOCK, start))
    return digest.digest()


def opened_below(folder: str, path: bytes) -> int:
    """A descriptor of the file at a path below a folder, none of whose parts from there on is a link or `..`; OSError
    where that cannot be."""
    *folders, name = path.split(b"/")
    if b".." in folders or name in (b"", b".", b".."):
        raise FileNotFoundError(path)
    at = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in filter(None, folders):
            below = os.open(part, FOLDER | os.O_NOFOLLOW, dir_fd=at)
            os.close(at)
            at = below
        return os.open(name, READING | os.O_NOFOLLOW, dir_fd=at)
    finally:
        os.close(at)

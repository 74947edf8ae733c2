"""Thumbnails on the disk: by what they show, bounded in bytes, shared by servers, and never trusted unread.

A file is a JPEG with a comment in front that holds its key and a digest of all that follows. So a damaged file, one of
something else, and one under a wrong name are told from a thumbnail, and browsers take it as it is. What all files
take together stands in one small file, which is changed under the lock under which they are written.
"""

import contextlib
import hashlib
import os
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from ...files.locks import exclusive
from ...files.paths.place import user_cache_folder

START, COMMENT = b"\xff\xd8", b"\xff\xfe"
NAME = b"ernie-vil2 thumbnail 1 "
DIGEST = 16
SUFFIX = ".jpg"
LONGEST = 4 << 20
"""Bytes of a file of the cache that is read"""
TOUCHED = 60.0
"""Seconds within which a thumbnail that is shown again counts as shown at the same time"""
SPARED = 0.9
"""The share of the bound that is left when there are too many: so they are not counted anew for each one that comes"""
LOCK, TOTAL, NEW = "lock", "total", "new"
COUNT, MOST = struct.Struct(">QQ"), (1 << 64) - 1
"""Of the file TOTAL: the bytes that all take, and what that leaves of MOST, so that a torn count is noticed"""


def thumbnail_folder(cache: Path | None) -> Path | None:
    """Where thumbnails are kept: in this folder, or by default in the one of the user; None for a user without one."""
    cache = cache or user_cache_folder()
    return None if cache is None else cache / "thumbnails"


def pass_on() -> None:
    """Do not wait for another server that writes: it may have been halted."""
    raise BlockingIOError


def with_comment(key: str, jpeg: bytes) -> bytes:
    """A JPEG as the cache keeps it."""
    rest = jpeg[len(START) :]
    comment = NAME + bytes.fromhex(key) + hashlib.blake2b(rest, digest_size=DIGEST).digest()
    return START + COMMENT + struct.pack(">H", len(comment) + 2) + comment + rest


def is_thumbnail(key: str, data: bytes) -> bool:
    """Whether these are the bytes of the thumbnail of a key, all of them as they were written."""
    front = len(START) + len(COMMENT) + 2 + len(NAME) + len(bytes.fromhex(key)) + DIGEST
    return len(data) > front and data == with_comment(key, START + data[front:])


class ThumbnailCache:
    """The thumbnails in a folder, which take at most `most` bytes together. Threads and processes may share it.

    folder: made where it is missing; None keeps nothing. A disk that is full or cannot be written is no error: then
    nothing is kept, and nor is what comes just while another process writes.
    """

    def __init__(self, folder: Path | None, most: int) -> None:
        self.folder, self.most = folder, most
        self._lock = threading.Lock()

    def get(self, key: str) -> bytes | None:
        """The thumbnail of a key (hexadecimal), or None; one that is not as it was written counts as none."""
        if self.folder is None:
            return None
        path = self._path(key)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
            with open(descriptor, "rb", buffering=0) as file:
                status, data = os.fstat(descriptor), file.read(LONGEST)
        except OSError:
            return None
        if not is_thumbnail(key, data):
            return None
        if abs(time.time() - status.st_mtime) > TOUCHED:  # before or after: the clock may have been set back since
            with contextlib.suppress(OSError):
                os.utime(path)
        return data

    def put(self, key: str, jpeg: bytes) -> bytes:
        """Keep a JPEG under a key; what `get` is going to give, whether or not it could be kept."""
        data = with_comment(key, jpeg)
        if self.folder is not None and len(data) <= min(self.most, LONGEST):
            with self._lock, contextlib.suppress(OSError):
                self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
                with exclusive(self.folder / LOCK, pass_on):
                    self._write(self._path(key), data)
        return data

    def _write(self, path, data):
        """Put a file into its place, after others have made room for it. The lock is held."""
        try:
            path.unlink()
            total = self._count()  # it was damaged, or something else, of any size
        except FileNotFoundError:
            total = self._total()
        if total + len(data) > self.most:
            total = self._make_room(len(data))
        path.parent.mkdir(mode=0o700, exist_ok=True)
        new = self.folder / NEW
        try:
            new.write_bytes(data)
            self._note(total + len(data))
            os.replace(new, path)
        except OSError:
            new.unlink(missing_ok=True)
            raise

    def _make_room(self, wanted: int) -> int:
        """Remove those that were shown the longest time ago, until as many bytes are free; what the others take."""
        files = sorted(self._files(), key=lambda entry: entry[1])
        total, most = sum(size for size, _, _ in files), min(self.most * SPARED, self.most - wanted)
        for size, _, path in files:
            if total <= most:
                break
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
            total -= size
        return total

    def _files(self) -> Iterator[tuple[int, int, str]]:
        """(bytes, time of the last use, path) of all thumbnails."""
        with os.scandir(self.folder) as folders:
            for folder in [entry.path for entry in folders if entry.is_dir(follow_symlinks=False)]:
                with os.scandir(folder) as entries:
                    for entry in entries:
                        if entry.name.endswith(SUFFIX):
                            with contextlib.suppress(FileNotFoundError):
                                status = entry.stat(follow_symlinks=False)
                                yield status.st_size, status.st_mtime_ns, entry.path

    def _total(self) -> int:
        """Bytes of all thumbnails, counted where nobody has."""
        with contextlib.suppress(OSError, struct.error):
            total, inverse = COUNT.unpack((self.folder / TOTAL).read_bytes())
            if total + inverse == MOST:
                return total
        return self._count()

    def _count(self) -> int:
        return sum(size for size, _, _ in self._files())

    def _note(self, total: int) -> None:
        (self.folder / TOTAL).write_bytes(COUNT.pack(total, MOST - total))

    def _path(self, key):
        return self.folder / key[:2] / f"{key[2:]}{SUFFIX}"

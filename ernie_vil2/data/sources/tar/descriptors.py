"""Files that are read here and there, a small number of them kept open, however many shards there are."""

import errno
import os
import stat
import threading
from collections import OrderedDict

from ....errors import DataError, advice, exhausted

KEPT_OPEN = 64


class Descriptor:
    """A file open for reading; it is closed when nobody holds it any more, so never while it is read."""

    def __init__(self, path: str | os.PathLike):
        self.path = path
        self.number = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for a writer
        if not stat.S_ISREG(os.fstat(self.number).st_mode):
            raise OSError(errno.EINVAL, "it is not a regular file", path)

    def __del__(self):
        if hasattr(self, "number"):
            os.close(self.number)

    def stamp(self) -> tuple[int, int]:
        """(bytes, nanoseconds of the last change), which tells whether a file is still the one that was indexed."""
        status = os.fstat(self.number)
        return status.st_size, status.st_mtime_ns

    def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes at `offset`, fewer only at the end of the file."""
        data = os.pread(self.number, count, offset)
        while data and len(data) < count:
            more = os.pread(self.number, count - len(data), offset + len(data))
            if not more:
                break
            data += more
        return data


class Descriptors:
    """The files of this process that were read last, at most KEPT_OPEN; shared by threads, never pickled.

    `indexing` is for threads that would write the index of one file at once.
    """

    def __init__(self):
        self._open, self._lock, self.indexing = OrderedDict(), threading.RLock(), threading.Lock()

    def get(self, path: str | os.PathLike, stamp: tuple[int, int] | None = None) -> Descriptor:
        """The Descriptor of a path; DataError when it cannot be opened, or is not the file that bore the `stamp`."""
        path = os.fspath(path)
        with self._lock:
            found = self._open.pop(path, None)
            if found is None or stamp not in (None, found.stamp()):
                try:
                    found = self.opened(path)
                except OSError as error:
                    if exhausted(error):
                        raise
                    raise DataError(
                        f"{path}: cannot be read ({error.strerror or error}); "
                        + advice(error, "put the file back and open the source again")
                    ) from None
                if stamp not in (None, found.stamp()):
                    raise DataError(f"{path}: the file has changed since it was opened; open the source again")
            self._open[path] = found
            while len(self._open) > KEPT_OPEN:
                self._open.popitem(last=False)
        return found

    def opened(self, path: str | os.PathLike) -> Descriptor:
        """A Descriptor that is not kept; where too many files are open, those that are kept are closed for it."""
        try:
            return Descriptor(path)
        except OSError as error:
            if not exhausted(error):
                raise
            with self._lock:
                self._open.clear()
            return Descriptor(path)


OPEN = Descriptors()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=OPEN.__init__)  # a lock held by another thread would stay held in the child

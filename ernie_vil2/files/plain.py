"""Opening a file that ends: a pipe or a device in place of one would keep its reader waiting for ever."""

import errno
import os
import stat
from typing import BinaryIO


def open_plain(path: str | os.PathLike) -> BinaryIO:
    """A regular file, open for reading; OSError for anything else, before it is opened."""
    try:
        mode = os.stat(path).st_mode
    except ValueError:  # a zero byte, or half a character
        raise OSError(errno.EINVAL, "no file has such a name", os.fspath(path)) from None
    if not stat.S_ISREG(mode):
        code = errno.EISDIR if stat.S_ISDIR(mode) else errno.EINVAL
        reason = os.strerror(code) if code == errno.EISDIR else "it is no plain file"
        raise OSError(code, reason, os.fspath(path))
    return open(path, "rb")

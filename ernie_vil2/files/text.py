"""Text files as people save them: UTF-8, by its mark UTF-16, or GBK where that is sure; any line end, with or without
one after the last line.

Whoever reads a text file reads it here (a test looks for others). What has an index of its lines reads bytes instead
(`data/sources/lines.py`), and knows the same.
"""

import codecs
import errno
import logging
import os
import re
import stat
from collections.abc import Iterator

from ..errors import DataError
from .encodings import GB, NAMES, UTF8, codec_of, codec_of_bytes
from .stand_ins import HEAD, stand_in

LOG = logging.getLogger("ernie_vil2")
MARK = codecs.BOM_UTF8
MOST_BYTES = 1 << 30
"""Of a text file that is read as a whole, unless its reader knows better"""
STREAMS = ("/dev/fd/", "/dev/stdin", "/proc/self/fd/")
"""What a shell names in place of a file; any other pipe may never end"""
WIDE_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
LINE_END = re.compile("\r\n|\n|\r")  # str.splitlines also parts at \x0b, \x0c, \x85 and \u2028, which texts hold


class ContentError(DataError, ValueError):
    """The content of a file cannot be read: `reason` and `fix` as clauses, and the line where it is known.

    It is a ValueError too, so that a reader with a sentence of its own about its file can put `reason` into that.
    """

    def __init__(self, where: str | os.PathLike, reason: str, fix: str, line: int | None = None):
        super().__init__(where, reason, fix, line)
        self.where, self.reason, self.fix, self.line = where, reason, fix, line

    def sentence(self) -> str:
        return f"{self.where}{f':{self.line}' if self.line else ''}: {self.reason}; {self.fix}"


def decode_text(raw: bytes, where: str | os.PathLike, encoding: str = "") -> str:
    """The text of a whole file's bytes, without its byte-order mark; ContentError names the line that is no text.

    encoding: that of a file without a mark; without one UTF-8, or GBK where the bytes are surely that.
    """
    if found := stand_in(raw):
        raise not_fetched(where, found)
    codec = codec_of_text(raw, encoding)
    try:
        text = raw.decode(codec)
    except UnicodeDecodeError as error:
        before = error.object[: error.start].decode(codec, "ignore")
        byte = f"byte 0x{error.object[error.start]:02x} at position {error.start + 1}"
        name = "UTF-8" if codec == "utf-8-sig" else NAMES.get(codec, codec.upper())
        raise ContentError(where, f"the file is not {name} ({byte})", "save it as UTF-8", line_of(before)) from None
    if "\0" in text:
        reason = "the file holds a zero byte, as UTF-16 without a mark does"
        raise ContentError(where, reason, "save it as UTF-8", line_of(text[: text.index("\0")]))
    return text


def not_fetched(where: str | os.PathLike, found: str) -> ContentError:
    """The error of a file that `stand_in` found something in the place of."""
    reason, _, fix = found.partition("; ")
    return ContentError(where, f"the file {reason}", fix)


def codec_of_text(raw: bytes, encoding: str = "") -> str:
    """The codec for a whole file's bytes: that of its mark, the one that is named, or the one that the bytes show."""
    marked = next((codec for mark, codec in WIDE_MARKS.items() if raw.startswith(mark)), None)
    if marked or raw.startswith(MARK):
        return marked or "utf-8-sig"
    codec = codec_of(encoding) or (UTF8 if raw.isascii() else codec_of_bytes(raw))
    return "utf-8-sig" if codec == UTF8 else codec


def line_of(before: str) -> int:
    """The number, from 1, of the line that comes after a text."""
    return len(LINE_END.findall(before)) + 1


def split_lines(text: str) -> list[str]:
    """Lines without their ends; an end after the last line begins no other one."""
    lines = LINE_END.split(text)
    return lines if lines[-1] else lines[:-1]


def read_bytes(path: str | os.PathLike, most: int = MOST_BYTES) -> bytes:
    """The bytes of a file. Raises ContentError where they are more than `most`, or where it is none that ends, and
    OSError where it cannot be opened."""
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode) and not os.fspath(path).startswith(STREAMS):
        if stat.S_ISDIR(status.st_mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), os.fspath(path))
        raise ContentError(path, "this is no plain file", "give a file")
    with open(path, "rb") as handle:
        raw = handle.read(most + 1) if status.st_size <= most else b""
    if status.st_size > most or len(raw) > most:
        raise ContentError(path, f"the file has over {most:,} bytes, the most that it can sensibly have", "correct it")
    return raw


def read_text(path: str | os.PathLike, most: int = MOST_BYTES) -> str:
    """The text of a file of at most `most` bytes. Raises ContentError, and OSError where it cannot be opened."""
    raw = read_bytes(path, most)
    if codec_of_text(raw) == GB:
        LOG.warning("note: %s: read as %s, by its bytes; if words look wrong, save it as UTF-8", path, NAMES[GB])
    return decode_text(raw, path)


def read_lines(path: str | os.PathLike, most: int = MOST_BYTES) -> list[str]:
    """The lines of a list (ids, names): also those of files joined into one, whose marks are then inside."""
    return [line.removeprefix("\ufeff") for line in split_lines(read_text(path, most))]


def byte_lines(path: str | os.PathLike) -> Iterator[bytes]:
    """Yield the lines of a file that is too large to hold, without their ends; ContentError for UTF-16."""
    with open(path, "rb") as handle:
        if found := stand_in(handle.peek(HEAD)):
            raise not_fetched(path, found)
        for number, line in enumerate(handle):
            if not number and line.startswith(tuple(WIDE_MARKS)):
                raise ContentError(path, "the file is UTF-16 text", "save it as UTF-8")
            yield line.rstrip(b"\r\n").removeprefix(MARK)

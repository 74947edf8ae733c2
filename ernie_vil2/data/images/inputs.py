"""The bytes of an image, whatever it is given as: a path, a data: URI, an open file, the bytes themselves."""

import base64
import binascii
import io
import os
import re
import stat
import threading
import urllib.parse
from typing import TYPE_CHECKING, BinaryIO, Union

import numpy as np

from ...errors import advice, exhausted
from ...messages import brief
from .limits import Limits, check_bytes, image_error

if TYPE_CHECKING:
    from PIL.Image import Image

AnyImage = Union[str, os.PathLike, bytes, bytearray, memoryview, BinaryIO, np.ndarray, "Image"]
"""A path, a data: URI, the bytes of a file, a file open for bytes, RGB uint8 [H, W, 3], or a PIL image"""
WANTED = "give a path, the bytes of a file, an open file, a PIL image or an RGB uint8 array [H, W, 3]"
DATA_URI = re.compile(r"\s*data:([\w.+-]+/[\w.+-]+)?(;[\w.+-]+=[^;,]*)*(;base64)?,", re.IGNORECASE)
ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
SPACE = re.compile(r"\s+")
URL_SAFE = str.maketrans("-_", "+/")
READING = threading.Lock()
"""Held while a file is read from its start: threads may be given the same one"""


def is_open_file(image: object) -> bool:
    """Whether an object is a file to read from."""
    return callable(getattr(image, "read", None)) and not isinstance(image, (str, os.PathLike))


def content_of(image: object, limits: Limits) -> tuple[bytes, str]:
    """(bytes of an image within the limit, what to call it in a message); an open file is read from its start.

    Raises ImageError for everything that is none.
    """
    if isinstance(image, (bytes, bytearray, memoryview)):
        count = memoryview(image).nbytes
        where = f"an image of {count} bytes"
        check_bytes(count, where, limits)
        return bytes(image), where
    if isinstance(image, str) and (head := DATA_URI.match(image[:1024])):
        where = f"the image in {brief(image[: head.end()].strip(), 60)}..."
        data = decode_uri(image[head.end() :], bool(head[3]), where, limits)
        check_bytes(len(data), where, limits)
        return data, where
    if isinstance(image, (str, os.PathLike)):
        where = os.fspath(image)
        return read_file(where, limits), os.fsdecode(where)
    if is_open_file(image):
        name = getattr(image, "name", None)
        where = name if isinstance(name, str) and name else "an open file"
        data = read_stream(image, where, limits)
        check_bytes(len(data), where, limits)
        return data, where
    raise image_error("not an image", f"an object of type {type(image).__name__} is not an image; {WANTED}")


def held(image: AnyImage, limits: Limits) -> AnyImage:
    """The same image as something that can be read more than once: the bytes of an open file or a data: URI."""
    if is_open_file(image) or isinstance(image, str) and DATA_URI.match(image[:1024]):
        return content_of(image, limits)[0]
    return image


def decode_uri(text: str, is_base64: bool, where: str, limits: Limits) -> bytes:
    """The bytes of what follows the comma of a data: URI; base64 in either alphabet, padded or not, in lines or not."""
    if len(text) > 4 * limits.max_bytes:
        check_bytes(len(text), where, limits)
    if not is_base64:
        return urllib.parse.unquote_to_bytes(text)
    plain = SPACE.sub("", urllib.parse.unquote(text) if "%" in text else text).translate(URL_SAFE).rstrip("=")
    try:
        return base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (binascii.Error, ValueError):
        raise image_error("not an image", f"{where}: is not base64; encode the image file again") from None


def read_stream(file: BinaryIO, where: str, limits: Limits) -> bytes:
    """All bytes of an open file, from its start where it can be set there, and one more than the limit at most."""
    parts, left = [], limits.max_bytes + 1
    if isinstance(file, io.TextIOBase):
        raise image_error("not an image", f"{where}: is open for text; open it with the mode 'rb'")
    try:
        with READING:
            seekable = getattr(file, "seekable", None)
            if seekable() if seekable else hasattr(file, "seek"):  # a map of a file may only have `seek`
                file.seek(0)
            while left > 0 and (part := file.read(left)):
                parts.append(bytes(memoryview(part)))
                left -= len(parts[-1])
    except Exception as error:  # a file may be anything that has a method read
        reason = brief(str(getattr(error, "strerror", None) or error), 200)
        fault = f"{where}: cannot be read ({reason}); open it with the mode 'rb'"
        raise image_error("unreadable file", fault) from None
    return b"".join(parts)


def read_file(path: str | bytes, limits: Limits) -> bytes:
    """The bytes of a regular file within the limit; read here, so that OpenCV need not open non-ASCII paths."""
    name = os.fsdecode(path)
    if not name:
        raise image_error("unreadable file", "the path is empty; give the path of an image file")
    if ADDRESS.match(name) and not os.path.lexists(path):
        found = "is an address, and none is fetched here; download the image and give its path"
        raise image_error("unreadable file", f"{name}: {found}")
    try:
        status = os.stat(path)
        if not stat.S_ISREG(status.st_mode):
            kind = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise image_error("unreadable file", f"{name}: is {kind}; give an image file")
        check_bytes(status.st_size, name, limits)
        with open(path, "rb") as handle:
            data = handle.read(limits.max_bytes + 1)
    except (OSError, ValueError) as error:
        if exhausted(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise image_error(
            "unreadable file",
            f"{name}: cannot be read ({reason}); {advice(error, 'correct the path or its permissions')}",
        ) from None
    check_bytes(len(data), name, limits)
    return data

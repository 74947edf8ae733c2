"""The image of a row: a path that stays in its folder, or base64."""

import base64
import binascii
import os
import re
import stat
from pathlib import Path
from urllib.parse import unquote_to_bytes

from ....errors import advice
from ....files.paths.names import other_forms
from ..base import RowError, Sought
from .texts import shorten

ADDRESS = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://")
WINDOWS = re.compile(r"[A-Za-z]:[\\/]|\\\\")
INLINE = ("/9j/", "_9j_", "iVBORw0KGgo", "R0lGOD", "UklGR", "Qk", "SUkq", "TU0A")
"""How the base64 of a JPEG, PNG, GIF, WebP, BMP or TIFF begins"""
URL_SAFE = bytes.maketrans(b"-_", b"+/")


def image_path(value: str, where: str, folder: str | os.PathLike, allow_outside: bool) -> Path:
    """The path of an existing file; one that leaves `folder` (by `..`, link or from /) is refused unless allowed."""
    if WINDOWS.match(value) and not os.path.lexists(os.path.join(folder, value)):
        raise of_windows(value, where, folder)
    if ADDRESS.match(value):
        raise RowError(
            where, "unusable image path", f"the image is the address {shorten(value)}", "download it and name the file"
        )
    path = Path(folder, found_name(folder, value))
    try:
        root, target = os.path.realpath(folder), os.path.realpath(path)
        if not allow_outside and not target.startswith(os.path.join(root, "")):
            raise outside(value, where, folder)
        status = os.stat(target)
    except FileNotFoundError:
        if (other := in_gbk(value, folder)) is not None:
            return image_path(other, where, folder, allow_outside)
        missing = RowError(
            where,
            "missing image",
            f"the image file {shorten(value)} does not exist in {folder}",
            "add the file, correct its name, or delete the row",
        )
        missing.sought = Sought(os.fspath(folder), value)
        raise missing from None
    except (OSError, ValueError) as error:
        raise RowError(
            where,
            "unusable image path",
            f"the image file {shorten(value)} cannot be opened ({getattr(error, 'strerror', None) or error})",
            advice(error, "correct its name or its permissions"),
        ) from None
    if not stat.S_ISREG(status.st_mode):
        raise RowError(
            where, "unusable image path", f"the image {shorten(value)} is not a regular file", "name an image file"
        )
    if not status.st_size:
        raise RowError(
            where,
            "unusable image path",
            f"the image file {shorten(value)} is empty",
            "copy the image again or delete the row",
        )
    return path


def of_windows(value: str, where: str, folder: str | os.PathLike) -> RowError:
    """The error of an absolute path of Windows, which names what to take away where its end is a file of the folder."""
    parts = re.split(r"[\\/]", value)
    ends = ("/".join(parts[start:]) for start, first in enumerate(parts) if start and first not in ("", ".."))
    end = next((end for end in ends if os.path.isfile(os.path.join(folder, found_name(folder, end)))), None)
    fix = "name the file relative to the folder of the table, as photos/a.jpg"
    if end:
        fix = f"delete {to_copy(value[: -len(end)])} from it, the rest is a file of the folder"
    return RowError(where, "unusable image path", f"the image {to_copy(value)} is an absolute path of Windows", fix)


def to_copy(path: str) -> str:
    """A path of Windows for a message, with each of its backslashes once, to be copied from there."""
    return shorten(path).replace("\\\\", "\\")


def outside(value: str, where: str, folder: str | os.PathLike) -> RowError:
    """The error of an image that does not lie in its folder, which names the link where one leads out of it."""
    cause = "image outside the folder"
    link = link_out_of(folder, value)
    if link is None:
        reason = f"the image {shorten(value)} lies outside the folder {folder}"
        return RowError(
            where, cause, reason, "move it there and name it relative to the folder, or set allow_outside: true"
        )
    reason = f"the image {shorten(value)} lies behind the link {shorten(link)}, which leads out of the folder {folder}"
    return RowError(where, cause, reason, "set allow_outside: true if the link is your own, or copy the files there")


def link_out_of(folder: str | os.PathLike, value: str) -> str | None:
    """The part of a path in a folder that is a link to a place outside of it; None where the path itself leads out."""
    root, place = os.path.realpath(folder), ""
    if os.path.isabs(value) or os.path.normpath(value).split(os.sep)[0] in (os.pardir, os.curdir):
        return None
    for part in value.split(os.sep):
        place = os.path.join(place, part)
        target = os.path.realpath(os.path.join(folder, place))
        if os.path.islink(os.path.join(folder, place)) and not target.startswith(os.path.join(root, "")):
            return place
    return None


def found_name(folder: str | os.PathLike, value: str) -> str:
    """The name in a folder by which the file `value` is there: itself, or what unpacking an archive made of it."""
    if value.isascii() or os.path.lexists(os.path.join(folder, value)):
        return value
    return next((name for name in other_forms(value) if os.path.lexists(os.path.join(folder, name))), value)


def with_folders(value: str, folder: str | os.PathLike) -> str:
    """A path in which `\\` parts folders, as Windows writes it, as ours; one whose file is there stays."""
    there = WINDOWS.match(value) or os.path.lexists(os.path.join(folder, value))
    return value if there else value.replace("\\", "/")


def in_gbk(value: str, folder: str | os.PathLike) -> str | None:
    """The path of a file whose name lies on the disk in GBK, as archives of Chinese Windows leave it; None without."""
    try:
        other = None if value.isascii() else os.fsdecode(value.encode("gb18030"))
    except UnicodeEncodeError:
        return None
    return other if other and os.path.lexists(os.path.join(folder, other)) else None


def is_inline(value: str) -> bool:
    """Whether a field that should name an image holds one: a data URI, or the base64 of one."""
    value = value.lstrip()
    return value[:5].lower() == "data:" or len(value) >= 64 and value.startswith(INLINE) and "." not in value


def decode_base64(value: bytes | str, where: str) -> bytes:
    """Bytes of a base64 field (bytes or ASCII str), standard or url-safe alphabet, padded or not, with line breaks and
    blanks or without, alone or as a data URI."""
    try:
        raw = value.strip() if isinstance(value, bytes) else value.strip().encode("ascii")
        if raw[:5].lower() == b"data:":
            raw = of_data_uri(raw, where).strip()
        if len(raw.split(None, 1)) > 1:
            raw = b"".join(raw.split())
        # Standard base64 is the common case: only the url-safe one is translated and padded.
        if len(raw) % 4 or b"-" in raw or b"_" in raw:
            raw = raw.translate(URL_SAFE) + b"=" * (-len(raw) % 4)
        image = base64.b64decode(raw, validate=True)
    except (binascii.Error, UnicodeEncodeError):
        raise RowError(
            where, "bad base64", f"the image is not base64 ({base64_fault(value)})", "encode the image file again"
        ) from None
    if not image:
        raise RowError(
            where, "no image", "the image field is empty", "put the base64 of the image there or delete the row"
        )
    return image


def of_data_uri(raw: bytes, where: str) -> bytes:
    """The base64 in `data:image/jpeg;base64,...`; RowError for a URI without it."""
    head, _, content = raw.partition(b",")
    if head.rpartition(b";")[2].strip().lower() != b"base64":
        raise RowError(
            where,
            "bad base64",
            f"the image is the data URI {shorten(raw[:40].decode('latin-1'))}, which has no ';base64,'",
            "write data:image/jpeg;base64, and the base64 of the image file",
        )
    return unquote_to_bytes(content) if b"%" in content else content


def base64_fault(value: bytes | str) -> str:
    """What is wrong with a field that is not base64."""
    text = value.strip() if isinstance(value, str) else value.strip().decode("latin-1")
    start = text.find(",") + 1 if text[:5].lower() == "data:" else 0
    wrong = re.compile(r"[^A-Za-z0-9+/_=\s-]").search(text, start)
    if wrong:
        return f"character {wrong.group()!r} at position {wrong.start() + 1}"
    return f"its {len(text):,} characters end in the middle of a group or go on after the padding"

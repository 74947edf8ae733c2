"""From the fields of a row to a Sample: captions, tags, ids, image paths that stay in their folder, base64."""

import base64
import binascii
import hashlib
import json
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...errors import nearest
from ...files.json_files import KeyTwice, parse_json
from .base import RowError, Sample
from .written_lists import written_list

IMAGE_KEYS = ("image", "file_name", "filename")
TEXT_KEYS = ("text", "texts", "caption", "captions")
KEYS = (*IMAGE_KEYS, "image_base64", *TEXT_KEYS, "tags", "id")
URL_SAFE = bytes.maketrans(b"-_", b"+/")
SEPARATORS = re.compile("[,、，]")


def sample(
    mapping: Mapping[str, Any],
    where: str,
    folder: str | os.PathLike,
    allow_outside: bool = False,
    prefix: str = "",
    space: str = "",
) -> Sample:
    """The Sample of a mapping {image or image_base64, text or texts, tags?, id?}; RowError at the first fault."""
    texts = captions(mapping, where)
    tags = tag_list(mapping.get("tags"), where)
    kind, value = image_field(mapping, where)
    image = decode_base64(value, where) if kind == "image_base64" else image_path(value, where, folder, allow_outside)
    return Sample(image_id(mapping, where, prefix, space), image, texts, tags, where)


def image_id(mapping: Mapping[str, Any], where: str, prefix: str = "", space: str = "") -> str:
    """`space` and the `id` of a row; by default `prefix` and the image's path, or a digest of the bytes in the row."""
    value = mapping.get("id")
    if value is None or value == "":
        kind, value = image_field(mapping, where)
        if kind == "image_base64":
            return hashlib.blake2b(decode_base64(value, where), digest_size=16).hexdigest()
        return prefix + os.path.normpath(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{space}{value}"
    if not isinstance(value, str):
        raise RowError(where, "bad id", f"the id is {shorten(value)}", "make it a string or a whole number")
    return space + plain_text(value, where, "id")


def image_field(mapping: Mapping[str, Any], where: str) -> tuple[str, str]:
    """(key, value) of the one field that names or holds the image."""
    present = [key for key in (*IMAGE_KEYS, "image_base64") if mapping.get(key) not in (None, "")]
    if not present:
        raise RowError(
            where,
            "no image",
            "the row has no image" + misspelt(mapping, "image"),
            "add `image` (a path) or `image_base64`",
        )
    if len(present) > 1:
        raise RowError(where, "several images", f"the row has {' and '.join(present)}", "keep one of them")
    value = mapping[present[0]]
    if not isinstance(value, str):
        raise RowError(where, "no image", f"{present[0]} is {shorten(value)}", "make it a string")
    return present[0], plain_text(value, where, present[0])


def captions(mapping: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The captions of a row as a tuple of at least one non-empty string."""
    present = [key for key in TEXT_KEYS if mapping.get(key) is not None]
    if not present:
        raise RowError(
            where, "no caption", "the row has no caption" + misspelt(mapping, "text"), "add `text` or `texts`"
        )
    if len(present) > 1:
        raise RowError(
            where,
            "several caption fields",
            f"the row has {' and '.join(present)}",
            "keep one, a list may hold several captions",
        )
    value = mapping[present[0]]
    texts = caption_list(value, where) if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RowError(
            where, "no caption", f"{present[0]} is {shorten(value)}", "make it a string or a list of strings"
        )
    if not texts:
        raise RowError(where, "empty caption", f"{present[0]} is an empty list", "write a caption or delete the row")
    return tuple(caption(text, where) for text in texts)


def caption_list(text: str, where: str) -> list[str]:
    """The captions in a string: itself, or those of a list that a program wrote into it."""
    try:
        found = written_list(text)
    except ValueError as error:
        fix = "write a list of strings as JSON or Python do, or a caption that does not begin like one"
        raise RowError(where, "bad list", f"{shorten(text)} begins as a list, but {error}", fix) from None
    return [text] if found is None else found


def caption(text: str, where: str) -> str:
    """One caption, checked to be neither blank nor broken Unicode."""
    if not text.strip():
        raise RowError(where, "empty caption", "a caption is empty", "write a caption or delete the row")
    return plain_text(text, where, "caption")


def tag_list(value: Any, where: str) -> tuple[str, ...]:
    """Tags from a list of strings, or from a string separated by commas or 、; empty ones are left out."""
    if value is None:
        return ()
    tags = value
    if isinstance(value, str):
        tags = caption_list(value, where)
        tags = SEPARATORS.split(value) if tags == [value] else tags
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise RowError(
            where, "bad tags", f"tags is {shorten(value)}", "make it a list of strings, or a string separated by commas"
        )
    return tuple(plain_text(tag.strip(), where, "tag") for tag in tags if tag.strip())


def image_path(value: str, where: str, folder: str | os.PathLike, allow_outside: bool) -> Path:
    """The path of an existing file; one that leaves `folder` (by `..`, link or from /) is refused unless allowed."""
    if value.startswith(("http://", "https://")):
        raise RowError(
            where, "unusable image path", f"the image is the address {shorten(value)}", "download it and name the file"
        )
    path = Path(folder, value)
    try:
        root, target = os.path.realpath(folder), os.path.realpath(path)
        if not allow_outside and not target.startswith(os.path.join(root, "")):
            raise RowError(
                where,
                "image outside the folder",
                f"the image {shorten(value)} lies outside the folder {folder}",
                "move it there and name it relative to the folder, or set allow_outside: true",
            )
        status = os.stat(target)
    except FileNotFoundError:
        raise RowError(
            where,
            "missing image",
            f"the image file {shorten(value)} does not exist in {folder}",
            "add the file, correct its name, or delete the row",
        ) from None
    except (OSError, ValueError) as error:
        raise RowError(
            where,
            "unusable image path",
            f"the image file {shorten(value)} cannot be opened ({getattr(error, 'strerror', None) or error})",
            "correct its name or its permissions",
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


def decode_base64(value: bytes | str, where: str) -> bytes:
    """Bytes of a base64 field (bytes or ASCII str), standard or url-safe alphabet, padded or not."""
    try:
        raw = value.strip() if isinstance(value, bytes) else value.strip().encode("ascii")
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


def base64_fault(value: bytes | str) -> str:
    """What is wrong with a field that is not base64."""
    text = value.strip() if isinstance(value, str) else value.strip().decode("latin-1")
    wrong = re.search(r"[^A-Za-z0-9+/_=-]", text)
    if wrong:
        return f"character {wrong.group()!r} at position {wrong.start() + 1}"
    return f"its {len(text):,} characters end in the middle of a group or go on after the padding"


def decode_utf8(raw: bytes, where: str, what: str) -> str:
    """Text of UTF-8 bytes; RowError names the first bad byte."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowError(
            where,
            "bad UTF-8",
            f"the {what} is not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start + 1})",
            "save the file as UTF-8",
        ) from None


def plain_text(text: str, where: str, what: str) -> str:
    """`text` itself, checked to have no lone surrogates: JSON escapes can bring them in and nothing can write them."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError(
            where,
            "bad UTF-8",
            f"the {what} has half a surrogate pair at character {error.start + 1}",
            "write the character itself instead of its escape",
        ) from None
    return text


def json_object(text: str, where: str, example: str = '{"image": ..., "text": ...}') -> dict[str, Any]:
    """The JSON object that `text` is, as a dict; RowError when it is anything else."""
    try:
        row = parse_json(text)
    except KeyTwice as error:
        raise RowError(where, "key given twice", str(error), "keep one of them") from None
    except json.JSONDecodeError as error:
        raise RowError(
            where, "bad JSON", f"not valid JSON at column {error.colno} ({error.msg})", "correct that line"
        ) from None
    except (ValueError, RecursionError) as error:
        raise RowError(where, "bad JSON", f"JSON that cannot be read ({error})", "correct that line") from None
    if not isinstance(row, dict):
        raise RowError(where, "bad JSON", f"the JSON is {shorten(row)} instead of an object", f"write {example} there")
    return row


def misspelt(mapping: Mapping[str, Any], wanted: str) -> str:
    """A hint at the key that was probably meant, or nothing."""
    unknown = [str(key) for key in mapping if key not in KEYS]
    close = nearest(wanted, unknown)
    return f" (is {close!r} meant to be {wanted!r}?)" if close else ""


def shorten(value: object, limit: int = 60) -> str:
    """A value quoted for a message, cut to `limit` characters."""
    text = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list, bool, type(None))) else repr(value)
    return text if len(text) <= limit else text[: limit - 3] + "..."

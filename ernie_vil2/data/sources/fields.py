"""From the fields of a row to a Sample: captions, tags, boxes, the id and the image."""

import contextlib
import hashlib
import os
import re
from collections.abc import Mapping
from typing import Any

import numpy as np

from ...errors import DataError, nearest
from ...files.json_files import parse_json
from ..boxes import checked_boxes
from ..tokenizer import is_blank
from ..written_lists import written_list
from .base import Boxes, RowError, Sample
from .rows.columns import IMAGE_FIELDS, KEYS, TEXT_KEYS
from .rows.images import decode_base64, image_path, is_inline
from .rows.texts import plain_text, shorten

SEPARATORS = re.compile("[,、，]")


def sample(
    mapping: Mapping[str, Any],
    where: str,
    folder: str | os.PathLike,
    allow_outside: bool = False,
    prefix: str = "",
    space: str = "",
) -> Sample:
    """The Sample of a mapping {image or image_base64, text or texts, tags?, boxes?, id?}; RowError at a fault."""
    texts = captions(mapping, where)
    tags = tag_list(mapping.get("tags"), where)
    boxes = box_list(mapping.get("boxes"), where)
    kind, value = image_field(mapping, where)
    image = decode_base64(value, where) if kind == "image_base64" else image_path(value, where, folder, allow_outside)
    return Sample(image_id(mapping, where, prefix, space), image, texts, tags, where, boxes)


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
    present = [key for key in IMAGE_FIELDS if mapping.get(key) not in (None, "")]
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
    plain_text(value, where, present[0])
    return "image_base64" if is_inline(value) else present[0], value


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
    if is_blank(plain_text(text, where, "caption")):
        raise RowError(where, "empty caption", "a caption is empty", "write a caption or delete the row")
    return text


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
    return tuple(plain_text(tag.strip(), where, "tag") for tag in tags if not is_blank(tag))


def box_list(value: Any, where: str) -> Boxes | None:
    """The boxes of a Sample as `box_array` reads them."""
    boxes = box_array(value, where)
    return None if boxes is None else tuple(map(tuple, boxes.tolist()))


def box_array(value: Any, where: str) -> np.ndarray | None:
    """float32 [n, 4] of a list of boxes, or of a string that holds one as a cell of a table does; None for nothing."""
    if value is None or value == "":
        return None
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            value = parse_json(value)
    try:
        return checked_boxes(value)
    except DataError as error:
        reason, _, fix = str(error).rpartition("; ")
        raise RowError(where, "bad boxes", reason, fix) from None


def misspelt(mapping: Mapping[str, Any], wanted: str) -> str:
    """A hint at the key that was probably meant, or nothing."""
    unknown = [str(key) for key in mapping if key not in KEYS]
    close = nearest(wanted, unknown)
    return f" (is {close!r} meant to be {wanted!r}?)" if close else ""

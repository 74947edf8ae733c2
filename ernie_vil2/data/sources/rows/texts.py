"""The text of a row: UTF-8 that can be written again, JSON objects, and values quoted in messages."""

import json
from typing import Any

from ....files.encodings import GB, NAMES, codec_of_bytes
from ....files.json_files import KeyTwice, parse_json
from ..base import RowError

PLAIN = (dict, list, bool, type(None))


def decode_utf8(raw: bytes, where: str, what: str) -> str:
    """Text of UTF-8 bytes; RowError names the first bad byte."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise RowError(
            where,
            "bad UTF-8",
            f"the {what} is not UTF-8 (byte 0x{raw[error.start]:02x} at position {error.start + 1})",
            "save the file as UTF-8" + (f", which may be {NAMES[GB]} now" if codec_of_bytes(raw) == GB else ""),
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
    except ValueError as error:
        raise RowError(where, "bad JSON", f"JSON that cannot be read ({error})", "correct that line") from None
    if not isinstance(row, dict):
        raise RowError(where, "bad JSON", f"the JSON is {shorten(row)} instead of an object", f"write {example} there")
    return row


def shorten(value: object, limit: int = 60) -> str:
    """A value quoted for a message, cut to `limit` characters."""
    if isinstance(value, str):
        value = value[: limit + 1]
    try:
        text = json.dumps(value, ensure_ascii=False, default=repr) if isinstance(value, PLAIN) else repr(value)
    except RecursionError:
        text = f"a {type(value).__name__} within many others"
    return text if len(text) <= limit else text[: limit - 3] + "..."

"""JSON files: written as a whole, read without a key that is given twice."""

import hashlib
import json
import os
from collections.abc import Callable
from typing import Any

from ..messages import brief
from .atomic import atomic_file, reported
from .marks import MARK, marked
from .text import MOST_BYTES, ContentError, read_text

SETTINGS_BYTES = 4 << 20
"""Of a JSON file of settings or of an index: one takes up to 24 times its size in memory"""
SUM = "sha256"
MEND = "the file may be cut, copy it again"


def write_json(path: str | os.PathLike, content: Any, command: str | None = None) -> None:
    """`content` as indented JSON; no half file is ever seen. Raises CheckpointError when it cannot be written.

    command: marks a report as that command's own, which it may replace.
    """
    if command is not None:
        content = {MARK: marked(command), **content}
    with reported(path), atomic_file(path) as handle:
        handle.write((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8", "backslashreplace"))


def checksum(content: Any) -> str:
    """Hexadecimal SHA-256 of what a JSON file says, whatever the order of its keys."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def with_checksum(content: Any) -> dict[str, Any]:
    """A JSON object as it will be read, with its own checksum under SUM."""
    content = parse_json(json.dumps(content))
    return {**content, SUM: checksum(content)}


def without_checksum(content: dict[str, Any]) -> dict[str, Any]:
    """A JSON object without the checksum that `with_checksum` gave it, if it has one; ValueError where that is not its
    own."""
    rest = {key: value for key, value in content.items() if key != SUM}
    if SUM in content and content[SUM] != checksum(rest):
        raise ValueError("its checksum is not that of what it says")
    return rest


class KeyTwice(ValueError):
    """A JSON object has a key twice, of which Python would keep the last without a word."""


def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The dictionary of an object's keys and values."""
    content = dict(pairs)
    if len(content) < len(pairs):
        seen: set[str] = set()
        twice = next(key for key, _ in pairs if key in seen or seen.add(key))
        raise KeyTwice(f"the key {brief(twice, 80)!r} is given twice")
    return content


DECODER = json.JSONDecoder(object_pairs_hook=unique)


def parse_json(text: str) -> Any:
    """What a JSON text says. Raises ValueError: KeyTwice, JSONDecodeError, or a plain one for absurd nesting."""
    return decoded(text, DECODER)


def decoded(text: str, decoder: json.JSONDecoder) -> Any:
    """What a decoder makes of a text; ValueError in words of ours where Python only advises how to raise a limit."""
    try:
        return decoder.decode(text)
    except RecursionError:
        raise ValueError("too many brackets within others") from None
    except ValueError as error:
        if type(error) is ValueError:
            raise ValueError("a number has thousands of digits") from None
        raise


def read_json(
    path: str | os.PathLike,
    kept: Callable[[dict[str, Any]], dict[str, Any]] | None = None,
    mend: str = MEND,
    most: int = MOST_BYTES,
) -> Any:
    """The content of a JSON file; ContentError says what is wrong with it, OSError that it cannot be opened.

    kept: of an object, what is worth its memory. mend: what to do about text that is not JSON. most: bytes that it
    may have.
    """
    text = read_text(path, most)
    try:
        if kept is None:
            return parse_json(text)
        return decoded(text, json.JSONDecoder(object_pairs_hook=lambda pairs: kept(unique(pairs))))
    except KeyTwice as error:
        raise ContentError(path, str(error), "keep one of them") from None
    except json.JSONDecodeError as error:
        raise ContentError(path, f"not valid JSON at column {error.colno} ({error.msg})", mend, error.lineno) from None
    except ValueError as error:
        raise ContentError(path, f"cannot be read as JSON ({error})", mend) from None

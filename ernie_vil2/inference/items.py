"""Items to be encoded: one or many, and what becomes of the broken ones."""

from collections.abc import Callable
from typing import Any

import numpy as np

from ..data.images.inputs import is_open_file
from ..data.tokenizer import is_blank
from ..errors import ConfigError, DataError


class Reason(str):
    """Why an item is broken, a sentence, with the fixed name of its cause."""

    cause = "broken image"

    @classmethod
    def of(cls, error: DataError) -> "Reason":
        reason = cls(error)
        reason.cause = getattr(error, "cause", cls.cause)
        return reason


class Failures:
    """What becomes of broken items: the first one raises, or all are noted as (position, reason)."""

    def __init__(self, kind: str, on_error: str = "raise"):
        if on_error not in ("raise", "skip"):
            raise ConfigError(f"on_error is {on_error!r}, but it must be 'raise' or 'skip'")
        self.kind = kind
        self.raising = on_error == "raise"
        self.found = []

    def add(self, position: int, error: DataError) -> None:
        if self.raising:
            raise type(error)(f"{self.kind} {position} (counted from 0): {error}")
        self.found.append((position, Reason.of(error)))

    def passes(self, position: int, value: Any) -> bool:
        """Whether `value` is no error; an error is added."""
        if isinstance(value, DataError):
            self.add(position, value)
            return False
        return True


def listed(items: Any, single: type | tuple[type, ...], is_single: Callable[[Any], bool] = lambda item: False) -> list:
    """A list of items; one item alone becomes a list of one."""
    if isinstance(items, single) or is_single(items):
        return [items]
    try:
        return list(items)
    except TypeError:
        return [items]


def single_image(item: Any) -> bool:
    """Whether `item` is an image and not a sequence of images: an array of up to three dimensions, a PIL image, or an
    open file, of which a list would be its lines."""
    if is_open_file(item):
        return True
    return item.ndim < 4 if isinstance(item, np.ndarray) and item.dtype != object else hasattr(item, "getbands")


def text_fault(item: Any) -> DataError | None:
    """What keeps `item` from being a text that can be encoded, or None."""
    if not isinstance(item, str):
        return DataError(f"an object of type {type(item).__name__} is not a text; give a str")
    if is_blank(item):
        return DataError("the text is empty, since no character of it can be read; write one, or leave it out")
    return None

"""What is asked, as one unit vector: the weighted sum of the unit vectors of sentences, pictures and vectors."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from numbers import Real
from typing import Any, Union

import numpy as np

from ...errors import ConfigError, DataError
from ...inference.items import listed, single_image, text_fault
from ...messages import quoted

MOST_ITEMS, MOST_CHARACTERS = 64, 2000
"""Items of a query, and characters of one of its sentences"""
LARGEST_WEIGHT = 1e6
SMALLEST_NORM = 1e-3
"""Of the sum over the sum of absolute weights: half-precision vectors tell nothing below it"""
KINDS = ("text", "image", "vector")
Encode = Callable[[str, Any], np.ndarray]
"""Function (kind, item) -> float32 [D], its unit vector"""
Minus = Union[str, Mapping[str, Any], "Query", None]
"""What a query goes away from: a sentence, {"text" or "image" or "vector": one or several}, or a Query"""


@dataclass(frozen=True)
class Item:
    """A part of a query. kind: text, image or vector; weight: below 0 for what the query goes away from."""

    kind: str
    value: Any
    weight: float = 1.0


@dataclass(frozen=True)
class Query:
    """Items whose vectors are added up."""

    items: tuple[Item, ...]

    def kinds(self) -> set[str]:
        """The kinds of its items."""
        return {item.kind for item in self.items}

    def vector(self, encode: Encode) -> np.ndarray:
        """float32 [D]: sum of weight x unit vector, of length 1; DataError where the items cancel each other."""
        total = sum(item.weight * np.asarray(encode(item.kind, item.value), np.float64) for item in self.items)
        length = float(np.linalg.norm(total))
        if not length >= SMALLEST_NORM * sum(abs(item.weight) for item in self.items):
            raise DataError("the parts of the query cancel each other; give them other weights, or leave one out")
        return (total / length).astype(np.float32)


def query_of(text: Any = None, image: Any = None, vector: Any = None, minus: Minus = None) -> Query:
    """The Query of one or several texts, images and vectors, each an item or (item, weight), without those of `minus`.

    Raises ConfigError for a query of nothing, of too much or with weights that are none, DataError for a text that
    cannot be asked.
    """
    items = [*items_of("text", text), *items_of("image", image), *items_of("vector", vector)]
    if not items:
        raise ConfigError("nothing is asked for; give a text, an image or a vector")
    items += [Item(item.kind, item.value, -item.weight) for item in subtracted(minus)]
    if len(items) > MOST_ITEMS:
        raise ConfigError(f"the query has {len(items):,} parts; give at most {MOST_ITEMS}")
    return Query(tuple(items))


def subtracted(minus: Minus) -> Sequence[Item]:
    """The items of `minus`, with the weights they have there."""
    if minus is None or isinstance(minus, Query):
        return minus.items if minus else ()
    given = {"text": minus} if isinstance(minus, str) else minus
    if not isinstance(given, Mapping) or set(given) - set(KINDS):
        raise ConfigError(f"minus is {quoted(minus, 80)}; give a text, a Query, or a dictionary of text, image, vector")
    return [item for kind in KINDS for item in items_of(kind, given.get(kind))]


def items_of(kind: str, given: Any) -> list[Item]:
    """The items of a kind in what was given: none, one, (one, weight), or a list of these."""
    if given is None:
        return []
    values = [given] if is_weighted(given) else several(kind, given)
    pairs = [value if is_weighted(value) else (value, 1.0) for value in values]
    for value, weight in pairs:
        if not 0 < weight <= LARGEST_WEIGHT:
            told = f"a weight is {quoted(weight, 40)}, but it must be above 0 and at most {LARGEST_WEIGHT:,.0f}"
            raise ConfigError(f"{told}; put what is not wanted into minus")
        if kind == "text":
            check_text(value)
    return [Item(kind, value, float(weight)) for value, weight in pairs]


def several(kind: str, given: Any) -> list[Any]:
    """A list of items, which may be weighted, of one kind."""
    if kind == "text":
        return listed(given, (str, bytes))
    if kind == "image":
        return listed(given, (str, os.PathLike, bytes, bytearray, memoryview), single_image)
    numbers = isinstance(given, (list, tuple)) and len(given) > 0 and all(isinstance(one, Real) for one in given)
    return [given] if numbers or isinstance(given, np.ndarray) and given.ndim < 2 else list(given)


def is_weighted(value: Any) -> bool:
    """Whether a value is (item, weight), which two numbers of a vector are not."""
    return isinstance(value, tuple) and len(value) == 2 and is_number(value[1]) and not is_number(value[0])


def is_number(value: Any) -> bool:
    """Whether a value is a number to count with."""
    return isinstance(value, (Real, np.number)) and not isinstance(value, (bool, np.bool_))


def check_text(text: Any) -> None:
    """DataError for what is no text, is empty, or is too long to be meant: none needs a model to be told."""
    if isinstance(text, str) and len(text) > MOST_CHARACTERS:
        raise DataError(f"the text has {len(text):,} characters; ask with at most {MOST_CHARACTERS:,}")
    if fault := text_fault(text):
        raise fault


def unit_vector(given: Any, width: int) -> np.ndarray:
    """float32 [D]: a vector made elsewhere, at length 1; DataError for one of another width, or that is none."""
    try:
        vector = np.asarray(given, np.float64)
    except (TypeError, ValueError):
        raise DataError(f"the vector of the query is {quoted(given, 80)}; give {width} numbers") from None
    if vector.shape == (1, width):
        vector = vector[0]
    if vector.shape != (width,):
        raise DataError(f"the vector of the query has the shape {quoted(vector.shape, 60)}; give {width} numbers")
    largest = np.abs(vector).max(initial=0.0)
    if not 0 < largest < np.inf:
        raise DataError("the vector of the query has no direction, or numbers that are not finite; correct it")
    vector = vector / largest  # so that squares stay within bounds
    return (vector / np.linalg.norm(vector)).astype(np.float32)

"""What an analysis of retrieval holds, and the check of one that was read from a file."""

import base64
from typing import Any

from ..metrics.thresholds import SIZE

DIRECTIONS = ("t2i", "i2t")
COUNTS = ("images", "texts", "positives", "negatives")
ERROR_FIELDS = {"query": int, "wrong": int, "right": int, "rank": int, "wrong_score": float, "right_score": float}


def check_analysis(analysis: dict[str, Any]) -> None:
    """KeyError, TypeError or ValueError naming what is wrong with an analysis that was read from a file.

    benchmark: name or None. counts: {images, texts, positives, negatives}. recall: percentages at 1, 2, ... by
    direction. positives, negatives: `thresholds.count_scores` of the right and of the wrong pairs. queries, wrong: how
    many were asked, and of how many the first answer is wrong. errors: by direction, ERROR_FIELDS each.
    texts, captions, thumbnails: see `analysis.shown`. asked: see `best_images`; earlier versions wrote none.
    """
    if not isinstance(analysis["benchmark"], (str, type(None))):
        raise TypeError("benchmark")
    for name, keys in (("counts", COUNTS), ("wrong", DIRECTIONS), ("queries", DIRECTIONS)):
        if not all(is_count(analysis[name][key]) for key in keys):
            raise ValueError(name)
    for name in ("positives", "negatives"):
        values = analysis[name]
        if not (
            isinstance(values, list)
            and len(values) == SIZE
            and all(map(is_count, values))
            and sum(values) == analysis["counts"][name]
        ):
            raise ValueError(name)
    if not analysis["counts"]["positives"]:
        raise ValueError("number of positives")
    for name in DIRECTIONS:
        curve = analysis["recall"][name]
        if not (isinstance(curve, list) and curve and all(is_number(value) and 0 <= value <= 100 for value in curve)):
            raise ValueError(f"recall of {name}")
        for error in analysis["errors"][name]:
            for key, kind in ERROR_FIELDS.items():
                if not (is_count(error[key]) if kind is int else is_number(error[key])):
                    raise ValueError(f"{key} of an error")
    for one in analysis.get("asked", []):
        check_asked(one)
    for name, fits in (
        ("texts", lambda value: isinstance(value, str)),
        ("captions", is_count),
        ("thumbnails", is_base64),
    ):
        if not isinstance(analysis[name], dict) or not all(map(fits, analysis[name].values())):
            raise ValueError(name)


def check_asked(one: dict[str, Any]) -> None:
    """The same of a query with its best images."""
    if not (is_count(one["query"]) and is_count(one["rank"]) and one["rank"]):
        raise ValueError("query of asked")
    lists = one["images"], one["scores"], one["right"]
    fits = is_count, is_number, lambda value: isinstance(value, bool)
    if not all(isinstance(values, list) and all(map(fit, values)) for values, fit in zip(lists, fits, strict=True)):
        raise ValueError("images of asked")
    if len(set(map(len, lists))) != 1:
        raise ValueError("number of images of asked")


def is_count(value: object) -> bool:
    """Whether a value of JSON is a whole number of at least 0."""
    return type(value) is int and 0 <= value < 1 << 53


def is_number(value: object) -> bool:
    """Whether a value of JSON is a number."""
    return type(value) in (int, float) and abs(value) < 1e15


def is_base64(value: object) -> bool:
    """Whether a value of JSON is bytes in base64."""
    try:
        return isinstance(value, str) and bool(base64.b64decode(value, validate=True))
    except ValueError:
        return False

"""What the model finds, as cards of the demo's page: a query with its best results, right ones marked."""

import base64
import math
from collections.abc import Callable, Mapping, Sequence
from html import escape
from typing import Any

import cv2
import numpy as np

from ...evaluation.metrics.ranks import percent
from ...pages.html import spoken

WIDEST = 160
"""Pixels of the longer side of a picture"""
Entry = Mapping[str, Any]
"""A query with its results, as `page.DemoReport` describes"""


def number(value: float | None, shape: Callable[[float], str] = percent) -> str:
    """The value as text, or a dash when it is missing or not finite."""
    return "–" if value is None or not math.isfinite(value) else shape(value)


def picture(image: np.ndarray, alt: str) -> str:
    """An img with uint8 RGB [H, W, 3] inside, shrunk to `WIDEST` pixels."""
    scale = WIDEST / max(image.shape[:2])
    if scale < 1:
        image = cv2.resize(image, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    data = cv2.imencode(".png", np.ascontiguousarray(image[:, :, ::-1]))[1].tobytes()
    return f'<img src="data:image/png;base64,{base64.b64encode(data).decode()}" alt="{escape(alt)}">'


def score(value: float, right: bool) -> str:
    """A score as text, behind a tick when the result is right."""
    return ("✓ " if right else "") + number(value, "{:.3f}".format)


def item(right: bool, content: str) -> str:
    """A result of a query, framed by the style sheet when it is right."""
    return ('<li class="right">' if right else "<li>") + content + "</li>"


def cards(kind: str, mark: str, gallery: Sequence[Entry], card: Callable[[int, Entry], str]) -> str:
    """What a gallery shows and a card for each entry."""
    if not gallery:
        return '<p class="note">Nothing was shown.</p>'
    first = sum(bool(entry["right"][0]) for entry in gallery)
    shown = "\n".join(card(place, entry) for place, entry in enumerate(gallery, 1))
    return (
        f'<p class="note">The best {kind} of the unseen split with their scores; right ones have {mark} and a tick. '
        f'A right one comes first for {first} of {len(gallery)}.</p>\n<div class="queries">\n{shown}\n</div>'
    )


def text_query(_: int, entry: Entry) -> str:
    """A query's text, where its right image came, and the best images with their scores."""
    rank = int(entry["rank"])
    if rank < 1:
        raise ValueError(f"rank {rank} of query {entry['query']!r}: ranks count from 1")
    results = zip(entry["images"], entry["right"], entry["scores"], strict=True)
    items = "\n".join(
        item(right, picture(image, f"result {place}, {'right' if right else 'wrong'}") + score(value, right))
        for place, (image, right, value) in enumerate(results, 1)
    )
    where = f"The right image is at rank {rank:,}" + ("." if any(entry["right"]) else ", not among these.")
    return (
        f'<article class="query"><p class="asked">{spoken(entry["query"])}</p><p class="note">{where}</p>\n'
        f'<ol class="found">\n{items}\n</ol></article>'
    )


def image_query(place: int, entry: Entry) -> str:
    """An image with the best captions and their scores."""
    results = zip(entry["texts"], entry["right"], entry["scores"], strict=True)
    items = "\n".join(
        item(right, f'<span class="score">{score(value, right)}</span>{spoken(text)}') for text, right, value in results
    )
    image = picture(entry["image"], f"query image {place}")
    return f'<article class="shown">{image}\n<ol class="texts">\n{items}\n</ol></article>'

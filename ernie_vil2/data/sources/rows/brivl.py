"""Rows as BriVL releases them, {image_id, sentences or captions, bbox}, in the keys of rows here."""

import os
from collections.abc import Mapping
from typing import Any

from ..base import RowError
from .texts import shorten

KINDS = ("sur_text", "surText", "content", "easy")
"""Kinds of sentences that the release trains on, by sources of its data; its inference reads sur_text alone."""


def holds_brivl(mapping: Mapping[str, Any], images: tuple[str, ...], texts: tuple[str, ...]) -> bool:
    """Whether a row names its image by `image_id` or its captions as `sentences` where none of the keys `images` and
    `texts` does, as BriVL's rows do."""
    if not isinstance(mapping.get("image_id"), str) or not mapping["image_id"]:
        return False
    lists = mapping.get("sentences") is not None
    no_image, no_text = (all(mapping.get(key) in (None, "") for key in keys) for keys in (images, texts))
    return no_image and (lists or mapping.get("bbox") is not None) or no_text and lists


def from_brivl(
    mapping: Mapping[str, Any],
    images: tuple[str, ...],
    texts: tuple[str, ...],
    where: str,
    folder: str | os.PathLike,
    kind: str = "",
) -> dict[str, Any]:
    """The row in our keys: of what it lacks, the image is the file image_id (or image_id.jpg, where only that is
    there), the captions are the sentences of `kind`, and the boxes are bbox. RowError for bad sentences."""
    row = dict(mapping)
    if all(row.get(key) in (None, "") for key in images):
        row["image"] = image_name(row["image_id"], folder)
    if all(row.get(key) is None for key in texts):
        row["texts"] = sentences(row.get("sentences"), where, kind)
    if row.get("boxes") is None:
        row["boxes"] = row.get("bbox")
    return row


def image_name(image_id: str, folder: str | os.PathLike) -> str:
    """The name of an image's file: AIC's rows are found with and without the suffix."""
    path = os.path.join(folder, image_id)
    return f"{image_id}.jpg" if not os.path.exists(path) and os.path.isfile(f"{path}.jpg") else image_id


def sentences(value: Any, where: str, kind: str = "") -> list[str]:
    """The sentences of `kind`; without one those of the first of KINDS that the row has, or else its first sentence."""
    example = 'write [["sur_text", "..."]] there'
    if not isinstance(value, list) or not value:
        raise RowError(where, "no caption", f"sentences is {shorten(value)}", example)
    for pair in value:
        if not isinstance(pair, list) or len(pair) != 2 or not all(isinstance(part, str) for part in pair):
            raise RowError(where, "no caption", f"the sentence {shorten(pair)} is no [kind, text]", example)
    known = [name for name, _ in value]
    if kind and kind not in known:
        found = f"the row has no sentence of kind {kind!r} but {shorten(list(dict.fromkeys(known)))}"
        raise RowError(where, "no caption", found, "name one of these as the option sentences, or leave it out")
    wanted = kind or next((name for name in KINDS if name in known), "")
    return [text for name, text in value if name == wanted] or [value[0][1]]

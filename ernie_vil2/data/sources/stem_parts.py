"""Samples that lie in several parts of one stem, as webdataset and img2dataset write them: an image, .txt, .json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...files.text import ContentError, decode_text
from ..images.formats.kinds import SUFFIX_OF, SUFFIXES, kind_of
from . import fields
from .base import RowError, Sample
from .rows.texts import json_object

IMAGE, TEXT, JSON = range(3)
PART_OF_SUFFIX = {**dict.fromkeys((*SUFFIXES, ".img"), IMAGE), ".txt": TEXT, ".json": JSON}
LIMITS = {IMAGE: 64 << 20, TEXT: 1 << 20, JSON: 1 << 20}
TITLES = {IMAGE: "image", TEXT: "text", JSON: "JSON"}
CAPTION_KEYS = ("captions", "texts", "caption", "text")
ID_KEYS = ("id", "image_id")


def is_part(suffix: str, part: int) -> bool:
    """Whether a file of this suffix can be a part; an image needs none."""
    return PART_OF_SUFFIX.get(suffix) == part or part == IMAGE and not suffix


def sample(
    image: bytes | Path,
    text: bytes | None,
    document: bytes | None,
    where: str,
    default_id: str,
    space: str = "",
    encoding: str = "",
) -> Sample:
    """The Sample of an image (bytes or a path) with the bytes of its .txt and .json, either of which may be None.

    Captions are those of the first of `captions`, `texts`, `caption` and `text` that the .json fills, and else the
    whole .txt; `id` or `image_id`, after `space`, `tags` and `boxes` are the .json's. Raises RowError.
    """
    mapping = parse(document, where, encoding) if document is not None else {}
    return Sample(
        image_id(mapping, where, default_id, space),
        image,
        captions(mapping, text, where, encoding),
        fields.tag_list(mapping.get("tags"), where),
        where,
        fields.box_list(mapping.get("boxes"), where),
    )


def image_id(mapping: Mapping[str, Any], where: str, default: str, space: str = "") -> str:
    """`space` and the id that a .json gives, or the default."""
    value = next((mapping[key] for key in ID_KEYS if mapping.get(key) not in (None, "")), None)
    return default if value is None else fields.image_id({"id": value}, where, space=space)


def captions(mapping: Mapping[str, Any], text: bytes | None, where: str, encoding: str = "") -> tuple[str, ...]:
    """The captions as a tuple of at least one."""
    filled = [key for key in CAPTION_KEYS if mapping.get(key) not in (None, "", [])]
    if filled:
        return fields.captions({filled[0]: mapping[filled[0]]}, where)
    if text is None:
        raise RowError(where, "no caption", "the .json has no caption", f"give it one of {', '.join(CAPTION_KEYS)}")
    return fields.captions({"text": whole_text(text, where, "caption", encoding).strip("\r\n")}, where)


def parse(document: bytes, where: str, encoding: str = "") -> dict[str, Any]:
    """The mapping in the bytes of a .json."""
    return json_object(whole_text(document, where, "JSON", encoding), where)


def whole_text(raw: bytes, where: str, what: str, encoding: str = "") -> str:
    """The text of a caption's or a row's own file; RowError where it is none. encoding: as `decode_text` takes it."""
    try:
        return decode_text(raw, where, encoding)
    except ContentError as error:
        reason = error.reason.replace("the file", f"the {what}", 1)
        raise RowError(where, "bad UTF-8", reason, error.fix) from None


def suffix_of(data: bytes) -> str:
    """The suffix that fits the bytes of an image, .img for an unknown kind."""
    return SUFFIX_OF.get(kind_of(data), ".img")


def document_of(sample: Sample) -> bytes:
    """The bytes of a .json from which `sample` reads id, captions, tags and boxes back."""
    content = {"id": sample.id, "texts": list(sample.texts)}
    if sample.tags:
        content["tags"] = list(sample.tags)
    if sample.boxes is not None:
        content["boxes"] = [list(box) for box in sample.boxes]
    return json.dumps(content, ensure_ascii=False).encode()

"""A detector's output, entry by entry: rows of labels and scores per image, COCO's results, Visual Genome's objects."""

import contextlib
import math
import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ...errors import DataError, advice
from ...files.json_files import KeyTwice, parse_json, read_json
from ...files.text import decode_text
from ..sources import fields
from ..sources.base import RowError
from ..sources.lines import LineFile
from ..sources.rows.texts import decode_utf8, shorten
from .labels import Labels

ID_KEYS = ("image_id", "id", "image", "file_name")
LABEL_KEYS = ("labels", "objects", "classes", "category_id", "label", "category", "class", "names", "name")
SCORE_KEYS = ("scores", "score", "confidence")
BOX_KEYS = ("boxes", "bboxes", "bbox", "box")
LONGEST = 1 << 40  # a JSON list may be one line
BACKGROUND = ("__background__", "background")


@dataclass(frozen=True)
class Found:
    """One detection: its tag ("" where nobody asks for tags), score, and box (x1, y1, x2, y2) in pixels, if any."""

    tag: str
    score: float
    box: tuple[float, float, float, float] | None = None

    @property
    def area(self) -> float:
        """Of the box, in square pixels; NaN without one."""
        return math.nan if self.box is None else area(*self.box)

    @property
    def left(self) -> float:
        """Left edge of the box in pixels; NaN without one."""
        return math.nan if self.box is None else self.box[0]


def area(left: float, top: float, right: float, bottom: float) -> float:
    """Square pixels of a box; a reversed one has none."""
    return max(right - left, 0.0) * max(bottom - top, 0.0)


def first_of(entry: Mapping[str, Any], keys: Iterable[str]) -> tuple[str | None, Any]:
    """(key, value) of the first key that an entry has, or (None, None)."""
    return next(((key, entry[key]) for key in keys if entry.get(key) is not None), (None, None))


def as_list(value: Any) -> list:
    return value if isinstance(value, list) else [value]


def read_entry(entry: Any, labels: Labels | None, where: str) -> tuple[str, list[Found]]:
    """(image id, [Found]) of one entry: a row of an image with lists, or a single detection as COCO's results have it.

    Without labels every detection must have a box, and need not have a class. Raises RowError for an entry that cannot
    be used, DataError for a class that the labels do not know.
    """
    if not isinstance(entry, dict):
        raise RowError(where, "bad detection", "the entry is no JSON object", "write an id, labels and scores")
    _, key = first_of(entry, ID_KEYS)
    if isinstance(key, bool) or not isinstance(key, (str, int)):
        raise RowError(where, "bad detection", "the entry has no image id", f"add one of {', '.join(ID_KEYS)}")
    name, values = first_of(entry, LABEL_KEYS)
    if name is None and labels is None:
        values = unnamed(entry)
    elif isinstance(values, dict):
        raise RowError(where, "bad detection", f"its {name} are a mapping", "make them a list")
    elif name is None:
        raise RowError(where, "bad detection", "the entry has no labels", f"add one of {', '.join(LABEL_KEYS)}")
    single, values = not isinstance(values, list), as_list(values)
    if values and isinstance(values[0], dict):  # objects with fields of their own
        items = [read_entry({**item, "image_id": key}, labels, where)[1] for item in values if isinstance(item, dict)]
        return str(key), [found for item in items for found in item]
    if name == "names":  # synonyms of one object
        single, values = True, values[:1]
    _, scores = first_of(entry, SCORE_KEYS)
    scores = [1.0] * len(values) if scores is None else as_list(scores)
    boxes = entry_boxes(entry, single)
    if boxes is None and labels is None:
        raise RowError(where, "bad detection", "the entry has no boxes", f"add one of {', '.join(BOX_KEYS)}")
    if boxes is not None and not isinstance(boxes, list):
        raise RowError(where, "bad detection", f"its boxes are {shorten(boxes)}", "make them a list")
    counts = [len(values), len(scores)] + ([] if boxes is None else [len(boxes)])
    if len(set(counts)) > 1:
        reason = "its numbers of labels, scores and boxes differ: " + ", ".join(map(str, counts))
        raise RowError(where, "bad detection", reason, "make them equal")
    found = []
    for place, (label, score) in enumerate(zip(values, scores, strict=True)):
        tag = labels.name(label, where) if labels is not None else label if isinstance(label, str) else ""
        try:
            item = Found(tag, float(score), None if boxes is None else corners(boxes[place], single))
        except (TypeError, ValueError, OverflowError):
            raise RowError(where, "bad detection", "a score or a box is no number", "correct the line") from None
        if not math.isfinite(item.score):
            raise RowError(where, "bad detection", f"a score is {score}", "write finite scores")
        if tag not in BACKGROUND and (tag or labels is None):
            found.append(item)
    if labels is None:
        fields.box_list([item.box for item in found], where)  # raises RowError for boxes that no sample can have
    return str(key), found


def entry_boxes(entry: Mapping[str, Any], single: bool) -> list | None:
    """The boxes of an entry as a list, or None; Visual Genome's objects have x, y, w, h of their own."""
    if single and {"x", "y", "w", "h"} <= entry.keys():
        return [[entry[side] for side in "xywh"]]
    _, boxes = first_of(entry, BOX_KEYS)
    return boxes if boxes is None or not single else [boxes]


def unnamed(entry: Mapping[str, Any]) -> Any:
    """No names, as many as an entry has boxes: one or a list."""
    _, boxes = first_of(entry, BOX_KEYS)
    return [""] * len(boxes) if isinstance(boxes, list) and all(isinstance(box, list) for box in boxes) else ""


def corners(box: Iterable[float], single: bool) -> tuple[float, float, float, float]:
    """(x1, y1, x2, y2) of a box: x, y, width, height in a single detection, two corners in a row of lists."""
    left, top, third, fourth = map(float, box)
    return (left, top, left + third, top + fourth) if single else (left, top, third, fourth)


def file_names(content: Mapping[str, Any]) -> dict[int | str, str]:
    """{image id: file name} of the `images` of a COCO file, as far as they have both."""
    images = content.get("images")
    rows = [image for image in images if isinstance(image, dict)] if isinstance(images, list) else []
    pairs = [(image.get("id"), image.get("file_name")) for image in rows]
    return {key: name for key, name in pairs if isinstance(key, (int, str)) and isinstance(name, str)}


def entries(path: str | os.PathLike, by_file: bool = False) -> Iterator[tuple[str, Any]]:
    """Yield (where, entry) of a file: JSON lines, a JSON list, or a JSON object with `annotations`.

    by_file: detections of a COCO file get the file names that its `images` have in place of their numbers.
    A line that is not JSON comes as (where, RowError). Lines with `error` are a detector's note of a broken image.
    """
    lines = LineFile(path, max_line_bytes=LONGEST)
    head = lines.read(0).lstrip()
    whole = head.startswith(b"[")
    if not whole:
        with contextlib.suppress(ValueError):
            first = parse_json(decode_text(head, path))
            whole = isinstance(first, dict) and isinstance(first.get("annotations"), list)
    if whole or head == b"{":
        try:
            content = read_json(path)
        except (ValueError, OSError) as error:
            reason = getattr(error, "strerror", None) or getattr(error, "reason", error)
            raise DataError(
                f"{path}: not a whole JSON file ({reason}); {advice(error, 'write it again, or as JSON lines')}"
            ) from None
        names = file_names(content) if by_file and isinstance(content, dict) else {}
        content = content.get("annotations") if isinstance(content, dict) else content
        if not isinstance(content, list):
            raise DataError(f"{path}: neither a list of detections nor an object with annotations; give JSON lines")
        for number, entry in enumerate(content):
            known = isinstance(entry, dict) and isinstance(entry.get("image_id"), (int, str))
            name = names.get(entry["image_id"]) if known else None
            yield f"{path}[{number}]", {**entry, "image_id": name} if name else entry
        return
    for line, fetch in lines.walk():
        raw = fetch(1)
        if not raw.strip():
            continue
        where = f"{path}:{line + 1}"
        try:
            yield where, parse_json(decode_utf8(raw, where, "line"))
        except KeyTwice as error:
            yield where, RowError(where, "bad JSON", str(error), "keep one of them")
        except ValueError:
            yield where, RowError(where, "bad JSON", "the line is not JSON", "correct or delete it")
        except RowError as error:
            yield where, error

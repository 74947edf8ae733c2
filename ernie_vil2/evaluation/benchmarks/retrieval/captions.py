"""Lines of `id#n sentence` and lists of ids, as COCO-CN and Flickr30k-CN are published."""

import re
from pathlib import Path
from typing import NamedTuple

from ....data.sources import fields
from ....data.sources.lines import LineFile
from ....data.sources.rows.texts import decode_utf8
from ....errors import DataError

TAGGED = re.compile(r"(.+):[A-Za-z]+")
IMAGE_NAME = re.compile(r"(.+?)(?:\.jpe?g|\.png)?")


class Caption(NamedTuple):
    """image: id without suffix; key: what tells captions apart, None where lines carry no number."""

    image: str
    key: str | None
    text: str
    where: str


def read_captions(path: Path, segmented: bool = False) -> list[Caption]:
    """[Caption] of a file of lines `id#n TAB sentence`, `id#zhm#n sentence` or `id.jpg#n TAB sentence`.

    segmented: words are separated by blanks and may carry a part of speech, `警车:n`: they are joined again.
    DataError names the line that is none of this.
    """
    lines, found = LineFile(path), []
    for row in range(len(lines)):
        where = lines.where(row)
        head, *rest = decode_utf8(lines.read(row), where, "line").strip().split(None, 1) or [""]
        if not rest:
            if not head:
                continue  # blanks that `lines` does not take for an empty line
            raise DataError(
                f"{where}: the line has no sentence after the image id {head!r}; write `id#0`, a tab and the sentence"
            )
        name, number, _ = head.partition("#")
        text = joined(rest[0]) if segmented else rest[0]
        image = IMAGE_NAME.fullmatch(name or head).group(1)
        found.append(Caption(image, head if number else None, fields.caption(text, where), where))
    return found


def read_ids(path: Path) -> list[tuple[str, str]]:
    """[(image id, where)] of a file with an id per line; DataError names an id that comes twice."""
    lines, found = LineFile(path), {}
    for row in range(len(lines)):
        where = lines.where(row)
        words = decode_utf8(lines.read(row), where, "line").split()
        if not words:
            continue
        image = IMAGE_NAME.fullmatch(words[0]).group(1)
        if image in found:
            raise DataError(f"{where}: image {image!r} was already listed at {found[image]}; remove one of the lines")
        found[image] = where
    return list(found.items())


def joined(sentence: str) -> str:
    """A segmented sentence as it was written: parts of speech dropped, blanks kept between Latin words only."""
    words = sentence.split()
    tagged = [TAGGED.fullmatch(word) for word in words]
    if all(tagged):
        words = [match.group(1) for match in tagged]
    text = ""
    for word in words:
        latin = text[-1:].isascii() and text[-1:].isalnum() and word[0].isascii() and word[0].isalnum()
        text += " " + word if latin else word
    return text

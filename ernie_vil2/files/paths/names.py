"""Names of files and members as text: what is no UTF-8 is read as GB18030, as in Chinese archives, or else escaped."""

import itertools
import os
import re
import sys
import unicodedata
from collections.abc import Collection, Iterator

from ...messages import shown

SURROGATE = re.compile("[\ud800-\udfff]")
"""Python has halves of surrogate pairs for the bytes of a name that are no UTF-8."""


def is_text(name: str) -> bool:
    """Whether a name that the system gave is UTF-8, as Python takes it where the system says that its names are."""
    return name.isascii() or (sys.getfilesystemencoding() == "utf-8" and SURROGATE.search(name) is None)


def decode_name(raw: bytes) -> str:
    """The text of a name's bytes: UTF-8, else GB18030 where that gives letters that can be seen, else `\\xNN`."""
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError:
        pass
    try:
        text = raw.decode("gb18030")
    except UnicodeDecodeError:
        text = ""
    return text if text.isprintable() and text else escaped_name(raw.decode("utf-8", "surrogateescape"))


def escaped_name(name: str) -> str:
    """A name with `\\xNN` for each byte that is no UTF-8."""
    return SURROGATE.sub(lambda found: shown(found.group()), name)


def name_text(path: str | os.PathLike) -> str:
    """A path as text that can be written; one that is text already stays as it is, others go name by name."""
    path = os.fspath(path)
    return path if is_text(path) else os.sep.join(map(_text_of_part, path.split(os.sep)))


def _text_of_part(name):
    try:
        return decode_name(os.fsencode(name))
    except UnicodeEncodeError:  # no name of the system: half a pair that an escape of JSON brought in, for example
        return escaped_name(name)


def distinct_texts(names: Collection[str]) -> dict[str, str]:
    """{name: its text} of those that are no text; no other of the names has or gets that text."""
    odd = sorted(name for name in names if not is_text(name))
    taken, found = set(names) if odd else set(), {}
    for name in odd:
        plain = escaped_name(name)
        numbered = (f"{plain}~{number}" for number in itertools.count(2))
        found[name] = next(text for text in itertools.chain((name_text(name), plain), numbered) if text not in taken)
        taken.add(found[name])
    return found


def other_forms(text: str) -> Iterator[str]:
    """Names that a file of the name `text` gets from programs that unpack an archive: composed or decomposed letters,
    bytes of GB18030, and bytes of GB18030 or UTF-8 that were read as code page 437."""
    if SURROGATE.search(text):
        return
    yield os.fsdecode(text.encode("utf-8"))  # another name where the system's encoding is not UTF-8
    for form in ("NFC", "NFD"):
        yield unicodedata.normalize(form, text)
    raw = text.encode("gb18030")
    yield os.fsdecode(raw)
    yield raw.decode("cp437")
    yield text.encode("utf-8").decode("cp437")

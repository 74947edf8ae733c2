"""Names of files as they leave the server: in a header, and in an archive that any system can unpack."""

import itertools
import os
import re
import unicodedata
from urllib.parse import quote

from ....files.paths.names import name_text
from ....messages import UNSHOWN

FORBIDDEN = frozenset('<>:"/\\|?*')
"""Characters that no name has on one system or another"""
RESERVED = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\.|$)", re.IGNORECASE)
"""Names that Windows has for devices"""
LONGEST = 180
"""Bytes of a name in UTF-8: with a number in front of its suffix it is still a name everywhere"""
KEPT_SUFFIX = 16
PLAIN = re.compile(r'[^ -~]|["\\%]')


def safe_name(name: str | bytes, fallback: str = "picture") -> str:
    """A name as text without folders, control characters, and what a system does not take; of LONGEST bytes at most."""
    text = name_text(os.fsdecode(name))
    text = text.replace("\\", "/").rpartition("/")[2]
    text = "".join("_" if one in FORBIDDEN or unicodedata.category(one) in UNSHOWN else one for one in text)
    text = text.strip().lstrip(".").rstrip(". ")
    stem, suffix = os.path.splitext(text)
    if len(suffix.encode()) > KEPT_SUFFIX:
        stem, suffix = text, ""
    stem = stem.encode()[: LONGEST - len(suffix.encode())].decode("utf-8", "ignore").rstrip(". ")
    text = (stem or fallback) + suffix
    return f"_{text}" if RESERVED.match(text) else text


class DistinctNames:
    """Names of an archive: each that is given comes out safe, and as no other one, capital letters or not."""

    def __init__(self, taken: tuple[str, ...] = ()) -> None:
        self._taken = {folded(name) for name in taken}
        self._next: dict[str, int] = {}

    def of(self, name: str | bytes) -> str:
        """The name that stands for this one, ` (2)` and so on in front of the suffix where another one is like it."""
        text = safe_name(name)
        key, numbers = folded(text), itertools.count(self._next.get(folded(text), 1))
        number = next(number for number in numbers if folded(numbered(text, number)) not in self._taken)
        self._taken.add(folded(numbered(text, number)))
        self._next[key] = number + 1
        return numbered(text, number)


def numbered(name: str, number: int) -> str:
    """A name with a number in front of its suffix, but for the first."""
    stem, suffix = os.path.splitext(name)
    return name if number == 1 else f"{stem} ({number}){suffix}"


def folded(name: str) -> str:
    """A name as file systems compare it that know no capital letters, and one form of an accent."""
    return unicodedata.normalize("NFC", name.casefold())


def disposition(kind: str, name: str) -> str:
    """The header Content-Disposition (RFC 6266) of a safe name. kind: inline or attachment."""
    plain = PLAIN.sub("_", name)
    extended = "" if plain == name else f"; filename*=UTF-8''{quote(name, safe='')}"
    return f'{kind}; filename="{plain}"{extended}'

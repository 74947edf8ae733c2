"""Texts and values of any size and origin as a message shows them: in one line, within bounds, safe for a terminal."""

import itertools
import math
import reprlib
import unicodedata

LONGEST = 480
"""Characters of the longest sentence that an error is told in"""
UNSHOWN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Unicode categories of what moves a terminal's cursor, cannot be seen or is no text"""
NO_PICTURES = "file that is no picture is", "files that are no pictures are"
LEFT_OUT = "bad row was left out", "bad rows were left out"
"""Words for one and for several, as `counted` takes them"""


def counted(number: int, one: str, several: str = "") -> str:
    """`1 row`, `12 rows`: a number and what there are so many of. several: where it is not `one` with an s."""
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def brief(text: str, most: int = LONGEST) -> str:
    """`text` as one line that a terminal shows as it is: what cannot be shown is escaped, and what is longer than
    `most` characters loses its middle."""
    text = without_middle(text, most)
    return text if text.isprintable() else without_middle(plain(text), most)


def plain(text: str) -> str:
    """`text` as one line that a terminal shows as it is, however long."""
    return text if text.isprintable() else "".join(map(shown, text))


def without_middle(text: str, most: int) -> str:
    """`text` with at most `most` characters: of a longer one the first two thirds and the end."""
    return text if len(text) <= most else f"{text[: 2 * most // 3]} ... {text[5 - most + 2 * most // 3 :]}"


def shown(character: str) -> str:
    """One character, escaped where it is none to be seen; a byte that is no text as \\x and two digits."""
    if unicodedata.category(character) not in UNSHOWN:
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


class Quoting(reprlib.Repr):
    """`repr` of a value, of which only as much is looked at as is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.maxlist = self.maxtuple = self.maxdict = 8
        self.maxstring = self.maxother = 160
        self.maxlevel = 4

    def repr_str(self, value: str | bytes, level: int) -> str:
        return repr(value) if len(value) <= self.maxstring else repr(value[: self.maxstring]) + "..."

    repr_bytes = repr_str

    def repr_int(self, value: int, level: int) -> str:
        if value.bit_length() <= 128:
            return repr(value)
        digits = math.log10(abs(value))
        return f"{'-' * (value < 0)}{10 ** (digits % 1):.2f}e+{int(digits)}"

    def repr_dict(self, value: dict, level: int) -> str:
        items = itertools.islice(value.items(), self.maxdict) if level > 0 else ()
        parts = [f"{self.repr1(key, level - 1)}: {self.repr1(item, level - 1)}" for key, item in items]
        return "{" + ", ".join(parts + ["..."] * (len(parts) < len(value))) + "}"


QUOTING = Quoting()


def quoted(value: object, most: int = 200) -> str:
    """A value of any size and kind as a message shows it, in at most `most` characters, made in bounded time."""
    return without_middle(QUOTING.repr(value), most)

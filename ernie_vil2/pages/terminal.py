"""Texts in the columns of a terminal, where a Chinese character takes two."""

import unicodedata
from collections.abc import Collection, Sequence

CUT = "…"


def columns(text: str) -> int:
    """Terminal columns of a text that can be printed; marks over letters take none."""
    if text.isascii():
        return len(text)
    return sum(map(_columns_of, text))


def _columns_of(character: str) -> int:
    if unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1


def beginning(text: str, most: int) -> str:
    """A text of at most `most` columns: of a longer one as much of its beginning as there is room for."""
    if columns(text) <= most:
        return text
    kept, left = [], most - columns(CUT)
    for character in text:
        left -= _columns_of(character)
        if left < 0:
            break
        kept.append(character)
    return "".join(kept) + CUT * (most > 0)


def ending(text: str, most: int) -> str:
    """`beginning` of a text that tells more at its end, as a path does."""
    return text if columns(text) <= most else beginning(text[::-1], most)[::-1]


def aligned(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> str:
    """Rows of equally many cells as lines, two blanks apart. right: numbers of the columns that end in line."""
    widths = [max(map(columns, cells)) for cells in zip(*rows, strict=True)]
    lines = []
    for row in rows:
        cells = []
        for number, (cell, width) in enumerate(zip(row, widths, strict=True)):
            room = " " * (width - columns(cell))
            cells.append(room + cell if number in right else cell + room)
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)

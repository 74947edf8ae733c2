"""Pieces of Markdown pages that are written from numbers."""

import textwrap
from collections.abc import Iterable, Sequence


def markdown(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is on the left, the others on the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def filled(text: str, first: str = "", rest: str = "") -> str:
    """A paragraph in lines of at most 120 characters; `first` and `rest` stand before the first and the other lines."""
    return textwrap.fill(" ".join(text.split()), 120, initial_indent=first, subsequent_indent=rest)

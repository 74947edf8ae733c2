"""Pieces of Markdown pages that are written from numbers."""

import re
import textwrap
from collections.abc import Iterable, Sequence

KEPT = "\N{NO-BREAK SPACE}"
"""Stands for a space at which no line ends"""


def markdown(head: Sequence[object], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first column is on the left, the others on the right."""
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join("| " + " | ".join(map(str, line)) + " |" for line in lines)


def filled(text: str, first: str = "", rest: str = "") -> str:
    """A paragraph in lines of at most 120 characters; `first` and `rest` stand before the first and the other lines."""
    return textwrap.fill(" ".join(text.split()), 120, initial_indent=first, subsequent_indent=rest)


def anchor(heading: str) -> str:
    """What a link to a heading names after its `#`, as GitHub makes it."""
    return re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-")


def with_contents(page: str) -> str:
    """A page with links to its second-level headings after its title."""
    title, rest = page.split("\n", 1)
    headings = re.findall(r"^## (.+)$", page, re.MULTILINE)
    links = [f"[{heading}](#{anchor(heading)})".replace(" ", KEPT) for heading in headings]
    contents = textwrap.fill(f"On this page: {', '.join(links)}.", 120, break_long_words=False, break_on_hyphens=False)
    return f"{title}\n\n{contents.replace(KEPT, ' ')}\n{rest}"

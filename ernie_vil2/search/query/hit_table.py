"""Hits as lines of a terminal."""

import os

from ...files.paths.names import name_text
from ...messages import plain
from ...pages.terminal import aligned, beginning, columns, ending
from .hit_page import date_text, size_text
from .hits import Hit, Hits, TextHit

SHARE_OF_KEY = 3
"""Of the columns of a terminal a name takes at most one in so many: a caption needs room"""
MISSING, MARK = "missing", 5
"""What marks a hit whose file is not there, and in which column"""


def hit_table(hits: Hits, width: int | None = None) -> str:
    """A table with a head, a hit a line. width: columns of the terminal; None for lines as long as they are."""
    rows = [text_cells(hit) if isinstance(hit, TextHit) else image_cells(hit) for hit in hits]
    if rows and isinstance(hits[0], TextHit):
        return fitted([("score", "kind", "pictures", "text"), *rows], width, right=(2,))
    head = "score", "id", "name", "date", "size", "", "caption"
    if width is not None:
        rows = [(score, number, ending(key, width // SHARE_OF_KEY), *rest) for score, number, key, *rest in rows]
    lines = [head, *rows] if any(row[MARK] for row in rows) else [row[:MARK] + row[MARK + 1 :] for row in [head, *rows]]
    return fitted(lines, width, right=(1,))


def fitted(rows: list[tuple[str, ...]], width: int | None, right: tuple[int, ...] = ()) -> str:
    """Rows as lines, the last cells of which are cut to what room there is."""
    if width is not None:
        taken = sum(2 + max(columns(row[place]) for row in rows) for place in range(len(rows[0]) - 1))
        room = max(width - taken, columns(rows[0][-1]))
        rows = [(*row[:-1], beginning(row[-1], room)) for row in rows]
    return aligned(rows, right)


def image_cells(hit: Hit) -> tuple[str, ...]:
    """Score, id, name, day, pixels, whether the file is missing, and caption or else tags."""
    about = hit.caption or ", ".join(hit.tags)
    found = MISSING if hit.missing else ""
    return f"{hit.score:.4f}", f"{hit.id}", plain(name_of(hit)), date_text(hit), size_text(hit), found, plain(about)


def name_of(hit: Hit) -> str:
    """The name of a picture in its source; behind one that does not say which file it is, as a number, the file too."""
    if hit.path is None or name_text(hit.path.name) in hit.key or hit.time is not None:
        return hit.key
    return f"{hit.key} {os.path.join(hit.folder, name_text(hit.path.name))}"


def text_cells(hit: TextHit) -> tuple[str, ...]:
    """Score, kind, how many pictures have it, and the text."""
    return f"{hit.score:.4f}", hit.kind, f"{len(hit.images):,}", plain(hit.text)

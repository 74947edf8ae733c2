"""The hardest errors of a run as cards of a page: a query, the wrong answer that comes first, and its right one."""

from html import escape
from typing import Any

from ...pages.html import note, section, spoken
from .columns import DIRECTIONS

LONGEST = 300
"""Characters of a text that are shown"""


def error_section(name: str, analysis: dict[str, Any]) -> str:
    """The queries of a run that a wrong answer wins by most, as cards with pictures."""
    parts = []
    for direction, card in (("t2i", text_card), ("i2t", image_card)):
        found = analysis["errors"][direction]
        wrong, asked = analysis["wrong"][direction], analysis["queries"][direction]
        parts += [
            f"<h3>{DIRECTIONS[direction]}</h3>",
            note(
                f"The first answer is wrong for {wrong:,} of {asked:,} queries."
                + (
                    f" These {len(found)} have the largest lead of a wrong answer over the best right one."
                    if found
                    else ""
                )
            ),
        ]
        if found:
            cards = "\n".join(card(error, analysis) for error in found)
            parts.append(f'<div class="queries">\n{cards}\n</div>')
    return section(f"Hardest errors of {name}", *parts)


def text_card(error: dict[str, Any], analysis: dict[str, Any]) -> str:
    """A text, the wrong image that comes first and its right one, each with its score and a caption of its own."""
    sides = []
    for kind, title in (("wrong", "✗ found"), ("right", "✓ right")):
        row = error[kind]
        caption = analysis["captions"].get(str(row))
        words = spoken(cut(analysis["texts"].get(str(caption), ""))) if caption is not None else ""
        sides.append(
            f'<li class="{kind}">{picture(row, analysis, title)}<b>{title} {error[f"{kind}_score"]:.3f}</b>{words}</li>'
        )
    return (
        f'<article class="query"><p class="asked">{spoken(text_of(error["query"], analysis))}</p>'
        f'<p class="note">{standing("image", error)}</p>\n<ul class="two">\n' + "\n".join(sides) + "\n</ul></article>"
    )


def image_card(error: dict[str, Any], analysis: dict[str, Any]) -> str:
    """An image, the wrong text that comes first and its right one, each with its score."""
    items = "\n".join(
        f'<li class="{kind}"><span class="score">{mark} {error[f"{kind}_score"]:.3f}</span>'
        f"<span>{spoken(text_of(error[kind], analysis))}</span></li>"
        for kind, mark in (("wrong", "✗"), ("right", "✓"))
    )
    return (
        f'<article class="shown">{picture(error["query"], analysis, "query")}<div>'
        f'<p class="note">{standing("text", error)}</p>\n<ul class="texts">\n{items}\n</ul></div></article>'
    )


def standing(what: str, error: dict[str, Any]) -> str:
    """Where the right answer came, and by how much it was beaten."""
    lead = error["wrong_score"] - error["right_score"]
    return f"The right {what} is at rank {error['rank']:,}; the wrong one leads by {lead:.3f}."


def text_of(row: int, analysis: dict[str, Any]) -> str:
    """The text of a row, or its number where the texts were not known."""
    return cut(analysis["texts"].get(str(row), f"text {row}"))


def cut(text: str) -> str:
    """At most LONGEST characters of a text."""
    return text if len(text) <= LONGEST else text[:LONGEST] + " …"


def picture(row: int, analysis: dict[str, Any], alt: str) -> str:
    """The thumbnail of an image, or a frame with its number where there is none."""
    data = analysis["thumbnails"].get(str(row))
    if data is None:
        return f'<div class="none">image {row}</div>'
    return f'<img src="data:image/jpeg;base64,{escape(data)}" alt="{escape(alt)}">'

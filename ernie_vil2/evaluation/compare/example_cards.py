"""Queries of a run with their best images, right ones framed, as cards of a page."""

from typing import Any

from ...pages.html import note, section, spoken
from .error_cards import picture, text_of


def example_section(name: str, analysis: dict[str, Any]) -> list[str]:
    """The section of a run's examples; none for a run that was written without."""
    found = analysis.get("examples", [])
    if not found:
        return []
    first = sum(entry["right"][0] for entry in found)
    told = f"Queries spread evenly, a right image first for {first} of {len(found)}; right ones are framed."
    cards = "\n".join(card(entry, analysis) for entry in found)
    return [section(f"What {name} finds", note(told), f'<div class="queries">\n{cards}\n</div>')]


def card(entry: dict[str, Any], analysis: dict[str, Any]) -> str:
    """A query, where its right image came, and the best images with their scores."""
    items = "\n".join(
        ('<li class="right">' if right else "<li>")
        + picture(row, analysis, "right" if right else "wrong")
        + f"<span>{'✓ ' * right}{score:.3f}</span></li>"
        for row, score, right in zip(entry["images"], entry["scores"], entry["right"], strict=True)
    )
    where = f"The right image is at rank {entry['rank']:,}" + ("." if any(entry["right"]) else ", not among these.")
    return (
        f'<article class="query"><p class="asked">{spoken(text_of(entry["query"], analysis))}</p>'
        f'<p class="note">{where}</p>\n<ol class="found">\n{items}\n</ol></article>'
    )

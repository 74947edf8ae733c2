"""Queries with their best images as cards of a page: the right ones framed, the runs of one set below each other."""

from collections.abc import Sequence
from typing import Any

from ...pages.html import note, section, spoken
from .error_cards import picture, text_of

Analysed = Sequence[tuple[str, dict[str, Any]]]
"""(name, analysis) of every run"""


def same_queries(group: Analysed) -> list[Analysed]:
    """The runs that show queries, in groups of those that asked the same ones of equally many images."""
    groups: dict[object, list[tuple[str, dict[str, Any]]]] = {}
    for name, analysis in group:
        asked = analysis.get("asked", [])
        if asked:
            texts = tuple(text_of(one["query"], analysis) for one in asked)
            groups.setdefault((texts, analysis["counts"]["images"]), []).append((name, analysis))
    return list(groups.values())


def query_section(group: Analysed) -> str:
    """The queries of runs that asked the same ones, each with the best images of every run."""
    names, count = ", ".join(name for name, _ in group), len(group[0][1]["asked"])
    first = "; ".join(
        f"{name}: {sum(one['rank'] == 1 for one in analysis['asked'])} of {count}" for name, analysis in group
    )
    cards = "\n".join(query_card(place, group) for place in range(count))
    return section(
        f"Queries and their best images: {names}",
        note(
            "Texts are evenly spaced over the set. Below each image is its score; right ones have a frame and a tick. "
            f"A right image comes first, {first}."
        ),
        f'<div class="queries">\n{cards}\n</div>',
    )


def query_card(place: int, group: Analysed) -> str:
    """A text, and of each run where the right image came and the best images."""
    query = group[0][1]["asked"][place]["query"]
    parts = [f'<p class="asked">{spoken(text_of(query, group[0][1]))}</p>']
    for name, analysis in group:
        one = analysis["asked"][place]
        if len(group) > 1:
            parts.append(f"<h4>{spoken(name)}</h4>")
        among = "." if any(one["right"]) else ", not among these."
        parts.append(note(f"The right image is at rank {one['rank']:,}{among}"))
        parts.append(f'<ol class="found">\n{found_images(one, analysis)}\n</ol>')
    return f'<article class="query">{"".join(parts)}</article>'


def found_images(one: dict[str, Any], analysis: dict[str, Any]) -> str:
    """The best images of a query with their scores, as items of a list."""
    results = zip(one["images"], one["scores"], one["right"], strict=True)
    items = []
    for number, (row, score, right) in enumerate(results, 1):
        kind, mark, told = (' class="right"', "✓ ", "right") if right else ("", "", "wrong")
        image = picture(row, analysis, f"result {number}, {told}")
        items.append(f"<li{kind}>{image}{mark}{score:.3f}</li>")
    return "\n".join(items)

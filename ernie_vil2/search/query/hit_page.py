"""A page of hits for a browser on this machine: pictures and moments of videos where they lie, nothing copied."""

from html import escape

from ...messages import plain
from ...pages.html import shared_style, spoken, template
from .hits import Hit, Hits, TextHit


def hit_page(title: str, note: str, hits: Hits) -> str:
    """The page as text. title: what was asked; note: how many were found."""
    return template("hits.html").substitute(
        title=escape(plain(title)),
        note=escape(note),
        style=shared_style(),
        hits="\n".join(map(card, hits)),
    )


def card(hit: Hit | TextHit) -> str:
    """A hit as an item of a list."""
    if isinstance(hit, TextHit):
        about = f"{hit.kind} of {len(hit.images):,} pictures"
        return (
            f'<li><span class="caption">{spoken(plain(hit.text))}</span><b>{hit.score:.4f}</b><span>{about}</span></li>'
        )
    lines = [plain(hit.key), size_text(hit), date_text(hit), ", ".join(map(plain, hit.tags))]
    caption = f'<span class="caption">{spoken(plain(hit.caption))}</span>' if hit.caption else ""
    about = "".join(f"<span>{spoken(line)}</span>" for line in lines if line)
    return f"<li>{picture(hit)}<b>{hit.score:.4f}</b>{caption}{about}</li>"


def picture(hit: Hit) -> str:
    """The picture of a hit, or the moment of its video, as a link to the file."""
    if hit.path is None or not hit.path.is_absolute():
        return '<div class="none">without a file of its own</div>'
    if hit.missing:
        return '<div class="none">not there any more</div>'
    address = escape(hit.path.as_uri())
    if hit.time is not None:
        return f'<video src="{address}#t={hit.time:g}" controls muted preload="metadata"></video>'
    return f'<a href="{address}"><img src="{address}" alt="{escape(plain(hit.key))}" loading="lazy"></a>'


def size_text(hit: Hit) -> str:
    """Pixels of a picture; nothing where they are not known."""
    return f"{hit.width}x{hit.height}" if hit.width and hit.height else ""


def date_text(hit: Hit) -> str:
    """The day of a picture; nothing where it is not known."""
    return f"{hit.date:%Y-%m-%d}" if hit.date else ""

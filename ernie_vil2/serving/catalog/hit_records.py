"""Hits as the interface has them: what is known of a picture, and where its thumbnail and its file can be had."""

from typing import Any
from urllib.parse import quote

from ...search.query.hits import Hit, TextHit
from .moment import Moment
from .sources import below_source, last_part, source_name

MOST_IMAGES = 50
"""Pictures of a text that are named"""


def hit_record(moment: Moment, hit: Hit, shows_paths: bool, scored: bool = True) -> dict[str, Any]:
    """A picture. shows_paths: whether the answer may say where on this machine it lies."""
    missing, bare = hit.missing, hit.path is None and hit.source in moment.unseen
    address = f"/api/indexes/{quote(moment.name, safe='')}/pictures/{hit.id}"
    return {
        "id": hit.id,
        "score": hit.score if scored else None,
        "key": hit.key if shows_paths else below_source(hit.key),
        "name": last_part(hit.key),
        "folder": hit.folder if shows_paths else below_source(hit.folder),
        "path": str(hit.path) if shows_paths and hit.path is not None else None,
        "missing": missing,
        "width": hit.width,
        "height": hit.height,
        "size": hit.size,
        "date": None if hit.date is None else hit.date.isoformat(),
        "time": hit.time,
        "caption": hit.caption,
        "tags": list(hit.tags),
        "source": source_name({"spec": hit.source}),
        "video": hit.time is not None,
        "thumbnail": None if bare else f"{address}/thumbnail",
        "original": None if bare or missing or is_inner_frame(hit) else f"{address}/original",
    }


def is_inner_frame(hit: Hit) -> bool:
    """Whether a picture is a frame of a video that lies in a row of a source, where no file of it can be had."""
    return hit.path is None and hit.time is not None


def text_record(hit: TextHit) -> dict[str, Any]:
    """A caption or a tag, with the first pictures that have it."""
    images = hit.images
    about = {"id": hit.id, "score": hit.score, "kind": hit.kind, "text": hit.text}
    return {**about, "images": images[:MOST_IMAGES], "image_count": len(images)}

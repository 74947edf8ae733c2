"""What is told of an index that is served: its size, its model, its thresholds, and what is wrong."""

import os
from pathlib import Path
from typing import Any

from ...search.store.manifest import Manifest
from ..refusals import Refusal
from ..settings import ServerSettings
from .served_index import ServedIndex

UNKNOWN = Manifest()
"""What is known of an index that was never opened"""


def index_record(served: ServedIndex, settings: ServerSettings, language: str) -> dict[str, Any]:
    """The record of an index, of what JSON knows; asks the disk whether its model is there.

    language: of its message.
    """
    refusal, moment = served.refusal, served.last
    stale = Refusal(200, "index_stale", index=served.name) if served.remark else None
    manifest = moment.manifest if moment else UNKNOWN
    texts = len(moment.view.part("text")) if moment else 0
    return {
        "name": served.name,
        "state": "broken" if refusal else "ready",
        "message": said.sentence(language) if (said := refusal or stale) else "",
        "pictures": len(moment.index) if moment else 0,
        "texts": texts,
        "has_texts": texts > 0,
        "can_encode": can_encode(manifest, settings),
        "model": {
            "name": Path(manifest.model.get("path") or "").name,
            "digest": manifest.model.get("digest") or "",
            "system": manifest.model.get("system") or "",
        },
        "width": manifest.width,
        "sequence": manifest.sequence,
        "updating": served.updating,
        "thresholds": [threshold_record(name, record) for name, record in sorted(manifest.thresholds.items())],
    }


def can_encode(manifest: Manifest, settings: ServerSettings) -> bool:
    """Whether texts and pictures can be encoded for an index: its model is known, and there, or was given."""
    place = settings.model or manifest.model.get("path")
    return bool(manifest.model.get("digest")) and bool(place) and os.path.exists(place)


def threshold_record(name: str, record: dict[str, Any]) -> dict[str, Any]:
    """A threshold; an index may have one of which no more than the number is known."""
    return {
        "name": name,
        "threshold": record.get("threshold"),
        "of": record.get("of", ""),
        **{key: record.get(key) for key in ("precision", "recall")},
    }

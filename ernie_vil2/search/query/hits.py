"""What a search finds: pictures with where they lie now, or texts with the pictures that have them."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import numpy as np
import pyarrow as pa

Roots = Mapping[int, Mapping[str, Any]]
COLUMNS = (
    "id", "root", "key", "path", "folder", "width", "height", "size", "date", "time", "caption", "tags",
)  # fmt: skip


@dataclass(frozen=True)
class Hit:
    """A picture, or a frame of a video, that was found.

    score: cosine with the query. key: its name in its source. path: of the file, below where its source lies now; None
    for a picture that has no file of its own. width, height: pixels, 0 where unknown. size: bytes. date: when it was
    taken, else of the file, without a zone; None where neither is known. time: seconds into a video, None for a
    picture. source: what the index was told to take it from.
    """

    id: int
    score: float
    key: str
    path: Path | None
    folder: str
    width: int
    height: int
    size: int
    date: datetime | None
    time: float | None
    caption: str
    tags: tuple[str, ...]
    source: str

    @property
    def missing(self) -> bool:
        """Whether its file is not there now; asked of the system whenever it is read."""
        return self.path is not None and not self.path.is_file()

    def record(self) -> dict[str, Any]:
        """Everything as JSON has it; bytes of a path that are no text are halves of surrogate pairs."""
        return {
            **{name: getattr(self, name) for name in ("id", "score", "key")},
            "path": None if self.path is None else str(self.path),
            "missing": self.missing,
            **{name: getattr(self, name) for name in ("folder", "width", "height", "size")},
            "date": None if self.date is None else self.date.isoformat(),
            **{name: getattr(self, name) for name in ("time", "caption")},
            "tags": list(self.tags),
            "source": self.source,
        }


@dataclass(frozen=True)
class TextHit:
    """A caption or a tag that was found. kind: caption or tag; images: looked up when it is read."""

    id: int
    score: float
    kind: str
    text: str
    owners: Callable[[int], np.ndarray] = field(repr=False, compare=False)

    @property
    def images(self) -> list[int]:
        """The ids of the pictures that have this text, rising."""
        return self.owners(self.id).tolist()

    def record(self) -> dict[str, Any]:
        """Everything as JSON has it."""
        return {"id": self.id, "score": self.score, "kind": self.kind, "text": self.text, "images": self.images}


AnyHit = TypeVar("AnyHit", Hit, TextHit)


class Hits(Sequence[AnyHit], Generic[AnyHit]):
    """One page of hits, best first; a sequence.

    page: from 1; k: hits of a page. total: hits of all pages, None where a threshold leaves some out and how many is
    not known yet.
    """

    def __init__(self, hits: Sequence[AnyHit], page: int, k: int, total: int | None):
        self._hits, self.page, self.k, self.total = tuple(hits), page, k, total

    def __len__(self) -> int:
        return len(self._hits)

    @overload
    def __getitem__(self, index: int) -> AnyHit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[AnyHit, ...]: ...
    def __getitem__(self, index: int | slice) -> AnyHit | tuple[AnyHit, ...]:
        return self._hits[index]

    def __repr__(self) -> str:
        return f"Hits({list(self._hits)!r}, page={self.page}, k={self.k}, total={self.total})"


def image_hits(rows: pa.Table, scores: Sequence[float], roots: Roots) -> list[Hit]:
    """The hits of rows (COLUMNS of pictures) and their scores, in their order."""
    return [image_hit(row, float(score), roots) for row, score in zip(rows.to_pylist(), scores, strict=True)]


def image_hit(row: Mapping[str, Any], score: float, roots: Roots) -> Hit:
    """The hit of one row."""
    root = roots.get(row["root"], {})
    return Hit(
        score=score,
        path=place_of(root.get("folder", ""), row["path"]),
        date=None if row["date"] is None else moment(row["date"]),
        time=None if row["time"] is None else row["time"] / 1000,
        tags=tuple(row["tags"] or ()),
        source=str(root.get("spec", "")),
        **{name: row[name] for name in ("id", "key", "folder", "width", "height", "size", "caption")},
    )


def place_of(folder: str, path: bytes) -> Path | None:
    """Where a file lies, whatever the bytes of its name; None where there is none."""
    return Path(os.fsdecode(os.path.join(os.fsencode(folder), path))) if path else None


def moment(seconds: int) -> datetime | None:
    """The date of seconds since 1970, without a zone; None for one that no calendar has."""
    try:
        return datetime.fromtimestamp(seconds, timezone.utc).replace(tzinfo=None)
    except (ValueError, OverflowError, OSError):
        return None


def text_hits(rows: pa.Table, scores: Sequence[float], owners: Callable[[int], np.ndarray]) -> list[TextHit]:
    """The hits of rows of texts and their scores. owners: function (id) -> int64 ids of the pictures that have it."""
    pairs = zip(rows.to_pylist(), scores, strict=True)
    return [TextHit(row["id"], float(score), row["kind"], row["text"], owners) for row, score in pairs]

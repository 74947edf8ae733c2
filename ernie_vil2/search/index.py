"""The search in an index: `open_index(DIR)`, then what is like a text, a picture or a vector."""

import os
import threading
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ConfigError
from ..messages import quoted
from .query.combination import Encode, Minus, Query, query_of
from .query.filter_terms import Filter, Terms, terms_of
from .query.hits import COLUMNS, Hits, image_hits, text_hits
from .query.query_model import QueryModel
from .query.ranking import DEEPEST, Ranking
from .query.score_limit import lowest_score
from .query.view import KINDS, View
from .store.manifest import Manifest
from .store.snapshot import open_snapshot

if TYPE_CHECKING:
    from ..inference.model import Model


def open_index(
    folder: str | os.PathLike,
    model: "str | os.PathLike | Model | None" = None,
    engine: str = "auto",
    precision: str = "fp32",
) -> "Index":
    """The index in a folder, which `ernie-vil2 index build` makes.

    model: where the index's model lies now, if not where it was; or a loaded Model. engine, precision: as in
    `ernie_vil2.load`. Raises DataError for a folder that is no index, or whose rows and vectors do not belong together.
    """
    return Index(folder, model, engine, precision)


class Index:
    """An index that can be searched, by several threads at once; what is written meanwhile shows after `refresh`."""

    def __init__(
        self,
        folder: str | os.PathLike,
        model: "str | os.PathLike | Model | None" = None,
        engine: str = "auto",
        precision: str = "fp32",
    ):
        self.folder = Path(folder)
        self._view = View(open_snapshot(self.folder))
        self._view.neighbours("image")
        self._given = model, engine, precision
        self._lock = threading.Lock()
        self._queries = self._query_model(self.manifest)

    def _query_model(self, manifest):
        return QueryModel(manifest.model, manifest.width, *self._given)

    def __len__(self) -> int:
        """Pictures, and frames of videos, that can be found."""
        return len(self._view.part("image"))

    @property
    def manifest(self) -> Manifest:
        """What the index was made of and with."""
        return self._view.snapshot.manifest

    @property
    def view(self) -> View:
        """What a search that begins now sees."""
        return self._view

    @property
    def model(self) -> "Model":
        """The model that texts and pictures are encoded with, loaded when it is first needed."""
        return self._queries.loaded()

    def refresh(self) -> bool:
        """See what was written since the index was opened; whether there was something. Searches that run go on in
        what they began with."""
        with self._lock:
            snapshot = open_snapshot(self.folder)
            if snapshot.manifest.sequence == self.manifest.sequence:
                return False
            view = View(snapshot)
            view.neighbours("image")
            if snapshot.manifest.model != self.manifest.model:
                self._queries = self._query_model(snapshot.manifest)
            self._view = view
            return True

    def vectors(self, ids: Sequence[int] | np.ndarray, of: str = "images") -> np.ndarray:
        """float32 [n, D]: the unit vectors of rows by id; DataError for one that is not there, or was removed."""
        part, numbers = self._view.part(KINDS[checked_kind(of)].side), np.asarray(ids, np.int64)
        part.check(numbers)
        return part.vectors(numbers)

    def search(
        self,
        text: Any = None,
        image: Any = None,
        vector: Any = None,
        minus: Minus = None,
        k: int = 10,
        page: int = 1,
        filter: Filter = None,
        threshold: float | str | None = None,
        of: str = "images",
    ) -> Hits:
        """The hits of a page, best first.

        text, image, vector: one of each, or several, each an item or (item, weight); images as in
        `Model.encode_image`, vectors [D] of the index's model. What is looked for is their weighted sum, each of
        length 1, less those of `minus`: a text, or a dictionary of text, image and vector. k: hits of a page; k x page
        is at most 10,000. filter: which pictures count (docs/search.md), as a text or a dictionary. threshold: the
        lowest score, or the name of one that is stored with the index. of: images, or texts, captions or tags, of
        which those count that a picture of the filter has. Raises ConfigError and DataError, in one sentence.
        """
        return self.ask(query_of(text, image, vector, minus), k, page, filter, threshold, of)

    def ask(
        self,
        query: Query,
        k: int = 10,
        page: int = 1,
        filter: Filter = None,
        threshold: float | str | None = None,
        of: str = "images",
        encode: Encode | None = None,
    ) -> Hits:
        """`search` for a Query. encode: gives the vectors of its items, by default with the index's model."""
        with self._lock:
            view, queries = self._view, self._queries
        checked_kind(of)
        depth, terms = depth_of(k, page), terms_of(filter)
        least = lowest_score(threshold, view.snapshot.manifest.thresholds, query.kinds(), KINDS[of].side)
        vector = query.vector(encode or queries.encode)
        ranking, total = ranked(view, vector, terms, of, depth, least)
        first = (page - 1) * k
        ids, scores = ranking.ids[first:depth], ranking.scores[first:depth]
        if of == "images":
            rows = view.part("image").take(ids, list(COLUMNS))
            return Hits(image_hits(rows, scores, view.snapshot.manifest.roots), page, k, total)
        return Hits(text_hits(view.part("text").take(ids), scores, view.owners.of), page, k, total)


def ranked(
    view: View, vector: np.ndarray, terms: Terms, of: str, depth: int, least: float | None
) -> tuple[Ranking, int | None]:
    """(the ranking of a query down to a depth, how many rows there are at all; None where that is not known)."""
    allowed = view.allowed(terms, of)
    key = vector.tobytes(), terms, of
    ranking = view.rankings.get(key, depth, partial(view.nearest, KINDS[of].side, vector, allowed), least)
    ranking, total = ranking.above(least)
    if least is None:
        total = len(view.part(KINDS[of].side) if allowed is None else allowed)
    return ranking, total


def depth_of(k: int, page: int) -> int:
    """How many rows must be ranked for a page; ConfigError for numbers that are none, or too large."""
    for name, value in (("k", k), ("page", page)):
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < 1:
            raise ConfigError(f"{name} is {quoted(value, 40)}, but it must be a whole number of at least 1")
    if k * page > DEEPEST:
        asked = f"k is {quoted(int(k), 40)}" + (f" on page {quoted(int(page), 40)}" if page > 1 else "")
        raise ConfigError(f"{asked}, but at most {DEEPEST:,} hits are ranked; ask for fewer, or narrow with a filter")
    return int(k * page)


def checked_kind(of: str) -> str:
    """What is looked for; ConfigError for what is not kept."""
    if not isinstance(of, str) or of not in KINDS:
        raise ConfigError(f"of is {quoted(of, 40)}, but it must be one of {', '.join(KINDS)}")
    return of

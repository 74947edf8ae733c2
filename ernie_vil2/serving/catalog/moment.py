"""An index as a request sees it from its beginning to its end: opened once, whatever is written meanwhile."""

import itertools
import threading
from functools import cached_property

import numpy as np

from ...search.index import Index
from ...search.query.filter_terms import Terms
from ...search.query.recent import Recent
from ...search.query.view import FILTERS, View
from ...search.scan.places import EMBEDDINGS
from ...search.store.manifest import Manifest
from .background import Background
from .browse import first_of, newest_first
from .facets import Facets, facets_of

_numbers = itertools.count(1)


class Moment:
    """An opened index, with what requests of it share; threads may share it.

    name: of the index. number: differs for each that the process opens, and rises.
    """

    def __init__(self, name: str, index: Index):
        self.name, self.index, self.number = name, index, next(_numbers)
        self.view: View = index.view
        self.background = Background(self.view)
        self._browsed = Recent(FILTERS)
        self._lock = threading.Lock()
        self._facets: Facets | None = None

    @property
    def manifest(self) -> Manifest:
        """What the index was made of and with."""
        return self.view.snapshot.manifest

    @property
    def digest(self) -> str:
        """Of the model that its vectors are of; "" where that is not known."""
        return self.manifest.model.get("digest") or ""

    @cached_property
    def unseen(self) -> frozenset[str]:
        """Sources of which the index has vectors and nothing that could be shown."""
        roots = self.manifest.roots.values()
        return frozenset(str(root.get("spec", "")) for root in roots if root.get("kind") == EMBEDDINGS)

    @property
    def facets(self) -> Facets:
        """What its pictures can be narrowed by, counted when it is first asked for."""
        with self._lock:
            if self._facets is None:
                self._facets = facets_of(self.view)
            return self._facets

    @cached_property
    def _newest(self) -> np.ndarray:
        return newest_first(self.view.part("image"))

    def newest(self, terms: Terms) -> tuple[np.ndarray, int]:
        """(int64 [n] ids of the newest pictures that a filter lets through, at most as many as pages reach; how many
        there are at all)."""
        return self._browsed.get(terms, lambda: self._first(terms))

    def _first(self, terms):
        with self._lock:
            order = self._newest
        return first_of(self.view.part("image"), order, self.view.allowed(terms, "images"))

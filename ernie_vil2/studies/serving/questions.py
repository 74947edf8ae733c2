"""What people ask a server: new sentences each time, and a share of pictures, vectors, filters and thumbnails."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..search.whole_searches import IDEOGRAPHS, quotation

WORDS, LONGEST_WORD = 4000, 3
SHORTEST_SENTENCE, LONGEST_SENTENCE = 2, 10
"""Words of a sentence"""
SHARES = {"text": 0.6, "text, filter": 0.1, "picture": 0.1, "vector": 0.1, "thumbnail": 0.1}
"""{kind of question: its share}"""
K = 40
"""Hits of a page, as the page asks for"""


@dataclass(frozen=True)
class Place:
    """What questions are made of. ids: of some pictures; folders: some, for filters; thumbnails: whether there are."""

    index: str
    width: int
    pictures: int
    ids: list[int]
    folders: list[str]
    thumbnails: bool


@dataclass(frozen=True)
class Question:
    """A request. body: JSON, None for GET. fewest: hits that it must have; most is K."""

    kind: str
    path: str
    body: bytes | None = None
    fewest: int = 0


class Questions:
    """Questions without end, never the same twice. kinds: of SHARES, which are asked; shares keep their ratio."""

    def __init__(self, place: Place, kinds: list[str], seed: int):
        self._place, self._rng = place, np.random.default_rng(seed)
        able = [kind for kind in kinds if possible(kind, place)]
        shares = np.array([SHARES[kind] for kind in able])
        self._kinds, self._shares = able, shares / shares.sum()
        letters = self._rng.choice(IDEOGRAPHS, (WORDS, LONGEST_WORD))
        lengths = self._rng.integers(1, LONGEST_WORD + 1, WORDS)
        self._words = ["".join(map(chr, row[:count])) for row, count in zip(letters, lengths, strict=True)]

    def __next__(self) -> Question:
        """The next one."""
        kind, place, rng = self._rng.choice(self._kinds, p=self._shares), self._place, self._rng
        if kind == "thumbnail":
            return Question(kind, f"/api/indexes/{place.index}/pictures/{rng.choice(place.ids)}/thumbnail?size=320")
        asked: dict[str, Any] = {"k": K}
        if kind == "picture":
            one, other = rng.choice(place.ids, 2)
            asked["parts"] = [{"id": int(one)}, {"id": int(other), "weight": float(rng.uniform(0.01, 1))}]
        elif kind == "vector":
            asked["parts"] = [{"vector": rng.standard_normal(place.width).round(4).tolist()}]
        else:
            asked["parts"] = [{"text": self._sentence()}]
        if kind == "text, filter":
            asked["filter"] = f"folder:{quotation(rng.choice(place.folders))}"
            return search(kind, place, asked, 1)
        return search(kind, place, asked, min(K, place.pictures))

    def _sentence(self):
        count = self._rng.integers(SHORTEST_SENTENCE, LONGEST_SENTENCE + 1)
        return "".join(self._words[place] for place in self._rng.integers(0, WORDS, count))


def search(kind: str, place: Place, asked: Mapping[str, Any], fewest: int) -> Question:
    """A search."""
    return Question(kind, f"/api/indexes/{place.index}/search", json.dumps(asked).encode(), fewest)


def possible(kind: str, place: Place) -> bool:
    """Whether there is something to ask a kind of question about."""
    return {"thumbnail": place.thumbnails, "text, filter": bool(place.folders)}.get(kind, True)

"""Downloads that were prepared: what a token stands for, and for how long."""

import os
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ....search.query.view import View
from ...refusals import Refusal
from ..missing import VECTOR, PictureMissing
from ..row_pictures import RowPictures
from ..rows import PictureRow, picture_rows
from .originals import opened_original

KEPT = 600.0
"""Seconds for which a download can be asked for"""
MOST_KEPT, MOST_SENT = 32, 4
"""Downloads that are kept; archives that are sent at once"""
SOON = 10
"""Seconds after which a download may be asked for again that was one too many"""


@dataclass(frozen=True)
class Selection:
    """Files of a selection, each once: rows; how many of the ids that were asked for have none; bytes of all."""

    rows: tuple[PictureRow, ...]
    missing: int
    bytes: int

    @property
    def paths(self) -> list[str]:
        """Where those lie that have a file of their own."""
        return [os.fsdecode(row.location) for row in self.rows if row.path]


def selection_of(view: View, ids: Sequence[int], pictures: RowPictures) -> Selection:
    """The Selection of ids, which may be of pictures that are gone. Nothing is read but the pictures that have no file
    of their own."""
    ids = list(dict.fromkeys(ids))
    alive = view.part("image").alive(np.array(ids, np.int64)).tolist()
    rows, seen, total, missing = [], set(), 0, len(ids) - sum(alive)
    for row in picture_rows(view, [number for number, there in zip(ids, alive, strict=True) if there]):
        content = row.location or (row.origin.spec, row.key)
        if content in seen:
            continue
        try:
            size = size_of(pictures, row)
        except PictureMissing:
            missing += 1
            continue
        seen.add(content)
        rows.append(row)
        total += size
    return Selection(tuple(rows), missing, total)


def size_of(pictures: RowPictures, row: PictureRow) -> int:
    """Bytes of the original of a row; PictureMissing where it has none."""
    if row.is_vector:
        raise PictureMissing(VECTOR)
    file = opened_original(pictures, row)
    file.close()
    return file.size


@dataclass(frozen=True)
class Ticket:
    """A download that was prepared. index: of which it is; until: when it expires, of `time.monotonic`."""

    index: str
    selection: Selection
    until: float


class Exports:
    """Prepared downloads by tokens that cannot be guessed. Threads may share it."""

    def __init__(self) -> None:
        self._tickets: OrderedDict[str, Ticket] = OrderedDict()
        self._lock = threading.Lock()
        self._sent = 0

    def issue(self, index: str, selection: Selection) -> str:
        """The token for a selection; the oldest download goes where there are too many."""
        token = secrets.token_urlsafe(24)
        with self._lock:
            self._tickets[token] = Ticket(index, selection, time.monotonic() + KEPT)
            while len(self._tickets) > MOST_KEPT:
                self._tickets.popitem(last=False)
        return token

    def begin(self, index: str, token: str) -> Selection:
        """What a token stands for, which is going to be sent until `end` is called. Refusal `no_download` for one that
        is not known, or any more, and `busy` where enough are sent already."""
        with self._lock:
            ticket = self._tickets.get(token)
            if ticket is None or ticket.index != index or ticket.until < time.monotonic():
                raise Refusal(404, "no_download")
            if self._sent >= MOST_SENT:
                raise Refusal(429, "busy", retry_after=SOON, seconds=SOON)
            self._sent += 1
            return ticket.selection

    def end(self) -> None:
        """One archive is sent, or its client is gone."""
        with self._lock:
            self._sent -= 1

"""One index that is served: its last good state, what is wrong with it now, and whether it changes."""

import logging
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ...errors import UserError, cause_of
from ...files.locks import is_held
from ...messages import brief
from ...search.index import Index
from ...search.store.manifest import MANIFEST
from ...search.store.writer import LOCK
from ..refusals import Refusal
from .moment import Moment

LOG = logging.getLogger("ernie_vil2")
SOON = 1
"""Seconds after which a request may come again that came while the index was being opened"""
Signature = tuple[int, int, int]
Fault = tuple[str, dict[str, Any]]
"""The code of a refusal, and its values"""
OPENING: Fault = ("opening", {"seconds": SOON})


class ServedIndex:
    """An index by its name. One thread looks at its folder (`look`), any others ask for what it saw last (`moment`).

    wake: called when a request asks for the index. opened: called with every Moment before it is shown. Attributes:
    `last`, the last good Moment, None before the first; `gone_since`, when its folder was first missed, None where it
    is there; `remark`, why the newest state could not be opened while an older one is searched.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        wake: Callable[[], object],
        opened: Callable[[Moment], object] = lambda moment: None,
    ):
        self.name, self.folder, self.remark = name, folder, ""
        self.last: Moment | None = None
        self.gone_since: float | None = None
        self._wake, self._opened = wake, opened
        self._fault: Fault | None = OPENING
        self._seen: Signature | None = None

    def moment(self) -> Moment:
        """The index as it was opened last; never blocks. Refusal `opening`, `index_gone` or `index_broken` where there
        is nothing to search."""
        self._wake()
        if refusal := self.refusal:
            raise refusal
        return self.last

    @property
    def refusal(self) -> Refusal | None:
        """Why it cannot be searched; None where it can. A new one each time: an exception keeps where it was raised."""
        fault = self._fault
        if fault is None:
            return None
        code, values = fault
        return Refusal(503, code, retry_after=SOON if fault == OPENING else None, index=self.name, **values)

    @property
    def faulty(self) -> bool:
        """Whether it was found gone or broken, and may be mended at any time."""
        return self._fault not in (None, OPENING)

    @property
    def updating(self) -> bool:
        """Whether a process of this machine writes it now."""
        return is_held(self.folder / LOCK)

    def look(self) -> None:
        """Open the index anew where its manifest was replaced. A state that cannot be opened leaves the one before, as
        long as the folder is there, and is tried again each time: its files may still be being copied."""
        found = signature(self.folder / MANIFEST)
        if found is None:
            self.gone_since = self.gone_since or time.monotonic()
            self._fault, self._seen, self.remark = ("index_gone", {}), None, ""
            return
        if found == self._seen:
            return
        try:
            moment = Moment(self.name, Index(self.folder))
            self._opened(moment)
        except Exception as error:
            self._note(str(error) if isinstance(error, UserError) else cause_of(error))
        else:
            self.last, self._fault, self._seen, self.remark = moment, None, found, ""
        self.gone_since = None

    def _note(self, detail: str) -> None:
        """What is wrong with the newest state, told once."""
        if detail != self.remark:
            LOG.warning("%s", brief(detail))
        self.remark = detail
        if self._fault is not None:
            self._fault = "index_broken", {"detail": detail}


def signature(path: Path) -> Signature | None:
    """What differs between two files that were put in the place of each other; None where there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size

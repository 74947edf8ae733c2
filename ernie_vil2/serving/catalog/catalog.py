"""The indexes of a server: one, or all in a folder, with those that come, change and go while it serves."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path

from ...errors import ConfigError
from ...search.store.manifest import MANIFEST
from ..refusals import Refusal
from ..settings import ServerSettings
from .index_names import distinct_names, plain_name
from .moment import Moment
from .served_index import ServedIndex

LOG = logging.getLogger("ernie_vil2")
EVERY, LEAST = 5.0, 1.0
"""Seconds between two looks at the folders, of which none is asked for, and at least"""
PATIENCE = 3.0
"""Seconds that a request waits for a look at an index that could not be searched: what takes longer is refused"""
FORGOTTEN = 600.0
"""Seconds after which an index is no longer named whose folder is gone"""
MOST = 1000
"""Indexes of a folder"""


class Catalog:
    """The indexes by name; threads may share it. A thread of its own looks at the folders, so that no request waits.

    opened: called with every Moment before it is shown.
    """

    def __init__(self, settings: ServerSettings, opened: Callable[[Moment], object] = lambda moment: None):
        self.settings, self._opened = settings, opened
        self.single = is_index(settings.folder)
        self._served: dict[str, ServedIndex] = {}
        self._asked, self._ended = threading.Event(), threading.Event()
        self._next: Future[None] = Future()
        self._thread: threading.Thread | None = None
        self.find()
        if not self._served:
            raise ConfigError(
                f"{settings.folder} is no index and has none in it; name one, or make one with `ernie-vil2 index build`"
            )

    def find(self) -> None:
        """Note which indexes there are, without opening one."""
        served, folders = dict(self._served), self._folders()
        for name, folder in folders.items():
            if name not in served:
                served[name] = ServedIndex(name, folder, self.wake, self._opened)
        for name, one in list(served.items()):
            if one.gone_since and time.monotonic() - one.gone_since > FORGOTTEN and name not in folders:
                del served[name]
        self._served = dict(sorted(served.items()))

    def _folders(self) -> dict[str, Path]:
        top = self.settings.folder
        if self.single:
            return {plain_name(top.name) or "index": top}
        try:
            names = sorted(entry.name for entry in os.scandir(top) if shows_index(entry.path))[:MOST]
        except OSError as error:
            if not self._served:
                raise ConfigError(f"{top}: {error.strerror}; name the folder of an index, or of indexes") from None
            return {}
        names = [name for name in names if not name.startswith(".")]
        return {told: top / name for name, told in distinct_names(names).items()}

    def wake(self) -> Future[None]:
        """Have the folders looked at soon: what is done after the first look that begins from now on."""
        following = self._next  # taken first: a look that begins between these two lines asks for one more
        self._asked.set()
        return following

    def look(self) -> None:
        """See what came, changed and went."""
        self.find()
        for one in self:
            if not self._ended.is_set():
                one.look()

    def start(self) -> None:
        """Open the indexes, and look at them from then on."""
        self.look()
        self._thread = threading.Thread(target=self._watch, name="indexes", daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        while not self._ended.wait(LEAST):
            self._asked.wait(EVERY - LEAST)
            self._asked.clear()
            if self._ended.is_set():
                return
            begun, self._next = self._next, Future()
            try:
                self.look()
            except Exception:  # what goes wrong with one look, memory for example, must not end the looking
                LOG.exception("looking at the indexes failed")
            begun.set_result(None)

    def stop(self) -> None:
        """Look no more."""
        self._ended.set()
        self._asked.set()
        if self._thread is not None:
            self._thread.join(self.settings.grace)

    def get(self, name: str) -> ServedIndex:
        """The index of a name; Refusal `no_index` where there is none."""
        if name not in self._served:
            self.wake()
            raise Refusal(404, "no_index", index=name)
        return self._served[name]

    async def moment(self, name: str) -> Moment:
        """The index of a name, as it was opened last. What was gone or broken is looked at again first, and all who ask
        for it share that look. Refusal as of `get` and of `ServedIndex.moment`."""
        served = self.get(name)
        if served.faulty:
            await asyncio.wait([asyncio.wrap_future(self.wake())], timeout=PATIENCE)
        return served.moment()

    def counts(self) -> list[tuple[str, int, int]]:
        """(name, pictures, texts) of the indexes that were opened."""
        moments = [one.last for one in self if one.last]
        return [(moment.name, len(moment.index), len(moment.view.part("text"))) for moment in moments]

    def __iter__(self) -> Iterator[ServedIndex]:
        return iter(tuple(self._served.values()))

    def __len__(self) -> int:
        return len(self._served)


def is_index(folder: Path) -> bool:
    """Whether a folder has the file that an index is known by."""
    return (folder / MANIFEST).is_file()


def shows_index(folder: str) -> bool:
    """As is_index; one that may not be looked into, such as lost+found, is no reason to serve none beside it."""
    return os.path.isfile(os.path.join(folder, MANIFEST))

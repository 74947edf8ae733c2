"""Groups of pictures that are nearly the same, found in a thread beside the requests that ask how far it is."""

import threading
import time
from collections import OrderedDict
from dataclasses import dataclass

from ...search.duplicates import Group, duplicate_groups
from ..catalog.moment import Moment

MOST_KEPT = 4
"""Results that are kept"""
PATIENCE, ABANDONED = 10.0, 60.0
"""Seconds without a question after which a search makes way for another one, and after which it ends"""
Key = tuple[str, int, float]
"""(name of an index, number of its moment, threshold)"""


class Stopped(Exception):
    """A search was asked to end."""


@dataclass(frozen=True)
class Duplicates:
    """What was found. moment: of the index; pictures: in all groups; bytes: of all of them but the first of each."""

    moment: Moment
    threshold: float
    groups: list[Group]
    pictures: int
    bytes: int


class DuplicateJob(threading.Thread):
    """The search of one moment of an index. done: the share of all pairs that was compared; asked: when somebody wanted
    to know last; found: the result; error: why it ended without one, but for `stop`."""

    def __init__(self, moment: Moment, threshold: float) -> None:
        super().__init__(name="duplicates", daemon=True)
        self.moment, self.threshold, self.key = moment, threshold, key_of(moment, threshold)
        self.done, self.asked = 0.0, time.monotonic()
        self.found: Duplicates | None = None
        self.error: Exception | None = None
        self._ended = False

    def run(self) -> None:
        """Search, and keep what was found."""
        try:
            part = self.moment.view.part("image")
            groups = duplicate_groups(part, self.threshold, None, self._progress)
            spare = [number for group in groups for number in group.ids[1:].tolist()]
            size = sum(part.take(spare, ["size"])["size"].to_pylist())
            self.found = Duplicates(self.moment, self.threshold, groups, len(spare) + len(groups), size)
        except Stopped:
            pass
        except Exception as error:  # told to who asks next, and to the log there
            self.error = error

    def stop(self) -> None:
        """Have it end soon."""
        self._ended = True

    def _progress(self, done, total):
        self.done = done / total
        if self._ended or time.monotonic() - self.asked > ABANDONED:
            raise Stopped


class DuplicateJobs:
    """One search at a time, and the results of the last ones. Threads may share it."""

    def __init__(self) -> None:
        self._results: OrderedDict[Key, Duplicates] = OrderedDict()
        self._job: DuplicateJob | None = None
        self._lock = threading.Lock()

    def found(self, moment: Moment, threshold: float) -> Duplicates | float:
        """The groups of a moment of an index, or the share of the search for them that is done. It begins when it is
        asked for and no other one runs that somebody waits for. Raises what it ended with."""
        key = key_of(moment, threshold)
        with self._lock:
            self._collect(key)
            if key in self._results:
                self._results.move_to_end(key)
                return self._results[key]
            if self._job is None:
                self._job = DuplicateJob(moment, threshold)
                self._job.start()
            elif self._job.key == key:
                self._job.asked = time.monotonic()
                return self._job.done
            elif time.monotonic() - self._job.asked > PATIENCE:
                self._job.stop()
            return 0.0

    def _collect(self, key):
        """Keep what a search has found that has ended; raise its error for who asked for it."""
        job = self._job
        if job is None or job.is_alive():
            return
        self._job = None
        if job.error is not None and job.key == key:
            raise job.error
        if job.found is not None:
            self._results[job.key] = job.found
            while len(self._results) > MOST_KEPT:
                self._results.popitem(last=False)

    def stop(self, seconds: float) -> None:
        """End the search that runs, and wait for at most some seconds."""
        with self._lock:
            if self._job is not None:
                self._job.stop()
                self._job.join(seconds)


def key_of(moment: Moment, threshold: float) -> Key:
    """What a search is of."""
    return moment.name, moment.number, threshold

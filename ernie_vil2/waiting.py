"""Waits that are told: after ten seconds, and then ever more rarely."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

FIRST, MOST_BETWEEN = 10.0, 600.0
"""Seconds until a wait is told, and the most between two times that it is; each is twice the one before"""
LOG = logging.getLogger("ernie_vil2")


class Reminder:
    """When it is time to tell of a wait."""

    def __init__(self) -> None:
        self.following = FIRST

    def due(self, waited: float) -> bool:
        """Whether a wait that has taken so many seconds is to be told now."""
        if waited < self.following:
            return False
        while self.following <= waited:
            self.following += min(self.following, MOST_BETWEEN)
        return True


@contextmanager
def told(sentence: Callable[[float], str], reminder: Reminder) -> Iterator[None]:
    """While the block takes long, a thread logs `sentence(seconds so far)`."""
    began, ended = time.monotonic(), threading.Event()

    def remind() -> None:
        while not ended.wait(max(0.0, began + reminder.following - time.monotonic())):
            if reminder.due(waited := time.monotonic() - began):
                LOG.warning(sentence(waited))

    threading.Thread(target=remind, name="reminder", daemon=True).start()
    try:
        yield
    finally:
        ended.set()

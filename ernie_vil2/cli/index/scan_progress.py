"""How far a scan is: a bar with rate and remaining time, or a line now and then where nobody watches a terminal."""

import time
from collections.abc import Callable

from ...messages import plain
from ..progress import rewrite, tell, watched
from .remaining import Remaining, told

WIDTH = 30
EVERY = 60.0
"""Seconds between two lines where no terminal is watched"""
SURE = 5.0
"""Seconds after which a first line says what is to be expected: one step alone may be of an empty file, or the slow
first one of a model"""
SHOWN = 0.5
"""Seconds between two changes of what is shown of a folder that is listed"""


class ScanProgress:
    """A Progress of a scan for a person. quiet: whether nothing is said of a short one."""

    def __init__(
        self, clock: Callable[[], float] = time.monotonic, watched: Callable[[], bool] = watched, quiet: bool = False
    ):
        self.clock, self.watched, self.quiet = clock, watched, quiet
        self.shown = clock()
        self.remaining: Remaining | None = None
        self.files = 0
        self.announced, self.began = False, self.shown

    def listed(self, name: str, files: int) -> None:
        """Show how many files of a folder were found."""
        if not self.quiet and self.clock() - self.shown >= SHOWN:
            self.shown = self.clock()
            rewrite(plain(f"looking at {name}: {files:,} pictures and videos"), False)

    def begin(self, files: int, size: int) -> None:
        """Say how much is going to be read."""
        rewrite("", False)
        self.files = files
        self.remaining = Remaining(files, size, self.clock)
        self.shown = self.began = self.clock()
        if files and not self.quiet:
            tell(f"{files:,} to read" + (f", {size / 1e6:,.1f} MB" if size else ""))

    def waited(self, seconds: float) -> None:
        """Do not count the time in which the model was loaded."""
        self.remaining.waited(seconds)
        self.began += seconds

    def step(self, files: int, size: int, bad: int) -> None:
        """Show how far it is; after some seconds also what is to be expected."""
        self.remaining.step(files, size)
        rate, left = self.remaining.rate(), told(self.remaining.seconds())
        done = self.remaining.done
        if not self.announced and done < self.files and self.clock() - self.began >= SURE:
            self.announced = True
            rewrite("", False)
            tell(f"about {rate:,.1f} a second, so about {left} for the rest")
        line = f"{done:,} of {self.files:,}, {bad:,} bad, {rate:,.1f} a second, {left} left"
        if self.watched():
            bar = "#" * (WIDTH * done // max(self.files, 1))
            rewrite(f"[{bar:<{WIDTH}}] {line}", False)
        elif self.clock() - self.shown >= EVERY:
            self.shown = self.clock()
            tell(line)

    def end(self) -> None:
        """Take the bar away."""
        rewrite("", False)

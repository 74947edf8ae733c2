"""One run of a scan: how far it is, when it commits, and whether it was asked to end."""

from typing import Protocol

from ...stop import Stopped, StopRequest
from .ledger import Ledger


class Progress(Protocol):
    """Who is told how far a scan is."""

    def listed(self, name: str, files: int) -> None:
        """So many files of a place were found so far."""

    def begin(self, files: int, size: int) -> None:
        """So many files with so many bytes are going to be read."""

    def waited(self, seconds: float) -> None:
        """So long the model was loaded."""

    def step(self, files: int, size: int, bad: int) -> None:
        """So many more of them are done; how many were bad until now."""

    def end(self) -> None:
        """All are done, or no more will be."""


class Silent:
    """A Progress that nobody watches."""

    def listed(self, name: str, files: int) -> None: ...
    def begin(self, files: int, size: int) -> None: ...
    def waited(self, seconds: float) -> None: ...
    def step(self, files: int, size: int, bad: int) -> None: ...
    def end(self) -> None: ...


class Run:
    """What every step of a scan passes through."""

    def __init__(self, ledger: Ledger, progress: Progress, stop: StopRequest | None = None):
        self.ledger, self.progress, self.stop = ledger, progress, stop
        self.done = 0

    def check(self) -> None:
        """Stopped, after a commit of what is done, where an end was asked for."""
        if self.stop is not None and self.stop.asked:
            self.ledger.commit()
            raise Stopped(self.stop.signal)

    def step(self, files: int, size: int) -> None:
        """So many files were done: commit where that is due."""
        self.done += files
        self.progress.step(files, size, len(self.ledger.faults.fresh))
        self.check()
        self.ledger.commit_when_due()

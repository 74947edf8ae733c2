"""A polite end: the first Ctrl-C or SIGTERM is remembered, and what works in steps saves and ends by itself."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType

INTERRUPTED = 130
"""Exit status of a command that Ctrl-C ended."""


class Stopped(KeyboardInterrupt):
    """A signal ended a command, which has put everything in order. told: what is kept, and how to go on."""

    def __init__(self, number: int = signal.SIGINT, told: str = "") -> None:
        self.number, self.told = signal.Signals(number), told

    def __str__(self):
        by = "Ctrl-C" if self.number == signal.SIGINT else self.number.name
        return f"stopped by {by}" + (f"; {self.told}" if self.told else "")

    @property
    def status(self) -> int:
        """Exit status, as a shell counts it."""
        return 128 + self.number


class StopRequest:
    """While it is entered, SIGTERM, SIGHUP and the first Ctrl-C set `asked` instead of ending the process.

    Further SIGTERMs change nothing: Paddle's launcher sends three within a second. A second Ctrl-C, after which
    `at_once` is true, is a KeyboardInterrupt, also where a library on its way out makes another error of it. `signal`
    is the first that came, or None. saying: what a person is told at the first Ctrl-C. Outside the main thread, which
    alone gets signals, nothing is changed.
    """

    def __init__(self, saying: str = "stopping; once more Ctrl-C stops at once, without saving") -> None:
        self.saying = saying
        self.signal: signal.Signals | None = None
        self.at_once = False
        self._before: dict[int, Callable | int | None] = {}

    @property
    def asked(self) -> bool:
        """Whether an end was asked for."""
        return self.signal is not None

    @property
    def status(self) -> int:
        """Exit status for what stopped as asked: 130 after Ctrl-C, 0 after SIGTERM, which only wants an orderly end."""
        return INTERRUPTED if self.signal == signal.SIGINT else 0

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
                if signal.getsignal(number) == signal.SIG_IGN:  # as nohup and jobs in the background have it
                    continue
                self._before[number] = signal.signal(number, self._note)
                signal.siginterrupt(number, False)  # Paddle's TCP store takes an interrupted read for an error
        return self

    def _note(self, number: int, frame: FrameType | None) -> None:
        again = self.signal == signal.SIGINT
        self.signal = self.signal or signal.Signals(number)
        if number != signal.SIGINT:
            return
        if again:
            self.at_once = True
            raise KeyboardInterrupt
        self.signal = signal.SIGINT
        with contextlib.suppress(Exception):  # nobody may be reading; print is not safe in a handler
            os.write(sys.__stderr__.fileno(), f"\n{self.saying}\n".encode())

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        for number, before in self._before.items():
            signal.signal(number, before)
        self._before = {}
        if self.at_once and isinstance(error, Exception):  # as Paddle does where a layer of its own runs backwards
            raise KeyboardInterrupt from error

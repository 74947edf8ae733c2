"""The log of a server: one line of JSON for each request and each event, on standard error."""

import contextlib
import datetime
import json
import sys
import threading
from typing import Any, TextIO

REQUEST = "request"
"""The event of a request that was answered"""
FAULTS = 500
"""The lowest status of a request that went wrong here"""


class Log:
    """Writes lines of JSON; threads may share it. stream: where to, by default standard error as it is then.

    A line says nothing of what was asked: no words, no key, no name of a file. At a terminal a person reads other
    things, so requests are left out there, but for those that went wrong.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self.stream, self._turn = stream, threading.Lock()

    def write(self, event: str, **fields: Any) -> None:
        """One line: the time, the event, and its fields. Where the stream is closed, the server goes on without."""
        time = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="milliseconds")
        line = json.dumps({"time": time, "event": event, **fields}, default=str)
        stream = self.stream or sys.stderr
        with self._turn, contextlib.suppress(OSError, ValueError):
            if event == REQUEST and fields["status"] < FAULTS and stream.isatty():
                return
            stream.write(f"{line}\n")
            stream.flush()

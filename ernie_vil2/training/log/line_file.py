"""A text file that grows by whole lines, whatever becomes of it meanwhile."""

import os
from pathlib import Path


class LineFile:
    """Appends lines to `path`. A line that was cut by a full disk is ended before the next; a file that was removed or
    moved away is begun anew in its place."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._open()

    def _open(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file, self._torn = open(self.path, "ab", buffering=0), False

    def write(self, line: str) -> None:
        """Add a line; what UTF-8 cannot write is escaped. OSError where the disk refuses; later lines may succeed."""
        if self._moved():
            self._file.close()
            self._open()
        data = (line + "\n").encode("utf-8", "backslashreplace")
        if self._torn:
            data = b"\n" + data
        self._torn = True
        while data:
            data = data[self._file.write(data) :]
        self._torn = False

    def _moved(self) -> bool:
        try:
            there = os.stat(self.path)
        except FileNotFoundError:
            return True
        return not os.path.samestat(there, os.fstat(self._file.fileno()))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

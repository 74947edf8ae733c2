"""What has arrived of one address, in a file beside the one that it becomes.

Beside `X.part` lies `X.part.json`: the validator (strong ETag, else Last-Modified) and the whole length that the bytes
belong to, and for a person the address.
"""

import json
import os
from pathlib import Path
from typing import Any

from ...files.atomic import atomic_file, reported
from ...files.json_files import read_json

NOTE_BYTES = 1 << 16


class Part:
    """The part file of one address: how much of what is there."""

    def __init__(self, path: str | os.PathLike, url: str):
        self.path, self.url = Path(path), url
        self.joined = False  # whether the bytes come from more than one answer
        self.note = self.path.with_name(self.path.name + ".json")

    @property
    def size(self) -> int:
        return self.path.stat().st_size if self.path.is_file() else 0

    def known(self) -> dict[str, Any]:
        """{"validator", "bytes"} of what is there, or {} where nothing can be gone on from."""
        try:
            content = read_json(self.note, most=NOTE_BYTES)
            validator, total = content["validator"], content["bytes"]
            sound = isinstance(validator, str) and validator.isascii() and (not validator or validator.isprintable())
            if sound and (total is None or type(total) is int and total >= 0) and self.size:
                return {"validator": validator, "bytes": total}
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return {}

    def restart(self, validator: str, total: int | None) -> None:
        """Empty the part, then say what will be in it: old bytes never lie under a new note."""
        with reported(self.path):
            self.path.write_bytes(b"")
            with atomic_file(self.note) as handle:
                handle.write(json.dumps({"url": self.url, "validator": validator, "bytes": total}).encode())

    def remove(self) -> None:
        self.note.unlink(missing_ok=True)
        self.path.unlink(missing_ok=True)

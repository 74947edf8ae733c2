"""What a case hands to the product: small files, the name of a target, and what the target is told."""

import base64
import hashlib
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

RECIPE = "example.json"
WRITTEN = 10**18
"""Nanoseconds at which every file was changed last: an index of a tar names the time of its tar"""


@dataclass
class Example:
    """`files` are {path below a folder: bytes}; a path that ends in / is a folder, one that ends in | a pipe."""

    target: str
    files: dict[str, bytes] = field(default_factory=dict)
    told: dict[str, Any] = field(default_factory=dict)

    def __len__(self) -> int:
        return sum(len(name) + len(data) for name, data in self.files.items()) + len(json.dumps(self.told))

    def write(self, folder: Path) -> None:
        """Write the files into a new folder."""
        folder.mkdir(parents=True)
        for name, data in self.files.items():
            place = folder / name.rstrip("|")
            if name.endswith("/"):
                place.mkdir(parents=True, exist_ok=True)
                continue
            place.parent.mkdir(parents=True, exist_ok=True)
            if name.endswith("|"):
                os.mkfifo(place)
            else:
                place.write_bytes(data)
                os.utime(place, ns=(WRITTEN, WRITTEN))

    def as_dict(self) -> dict[str, Any]:
        """What JSON can hold of it; `from_dict` of that gives it again."""
        files = {name: base64.b64encode(data).decode() for name, data in self.files.items()}
        return {"target": self.target, "told": self.told, "files": files}

    def save(self, place: Path) -> None:
        """Keep all of it in one file, from which `load` makes it again."""
        place.write_text(json.dumps(self.as_dict(), indent=1), encoding="utf-8")

    def fingerprint(self) -> str:
        """Hexadecimal digits that are equal for equal examples."""
        found = hashlib.sha256(json.dumps([self.target, self.told], sort_keys=True).encode())
        for name, data in self.files.items():
            found.update(b"%d %d " % (len(name), len(data)) + name.encode("utf-8", "surrogateescape") + data)
        return found.hexdigest()


def from_dict(content: dict[str, Any]) -> Example:
    """The example that `as_dict` has described."""
    files = {name: base64.b64decode(text) for name, text in content["files"].items()}
    return Example(content["target"], files, content["told"])


def load(place: Path) -> Example:
    """The example in a file that `save` wrote."""
    return from_dict(json.loads(place.read_text(encoding="utf-8")))

"""Files that could not be indexed: why, and whether it is worth to try them again; kept in `bad.jsonl` of an index."""

import json
import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ...errors import DataError
from ...files.atomic import atomic_file, reported
from ...files.json_files import parse_json
from ...files.text import byte_lines

BAD = "bad.jsonl"


@dataclass(frozen=True)
class Fault:
    """A file, or a row of a source, that is not in the index.

    root: number of the place it is of. path: from the root's folder, in the bytes that the system has it by; of a row
    its place. size: bytes, mtime: nanoseconds, when it was looked at. cause: a fixed name to count by; reason: a
    sentence. again: whether it is tried again though it has not changed. digest: of the content of a row that holds its
    picture itself, by which it is known that it has not changed.
    """

    root: int
    path: bytes
    size: int
    mtime: int
    cause: str
    reason: str
    again: bool = False
    digest: str = ""

    def line(self) -> bytes:
        """The fault as a line of JSON; what is no text in a path is escaped, so that it can be read back."""
        record = {**vars(self), "path": os.fsdecode(self.path)}
        return (json.dumps(record, ensure_ascii=False) + "\n").encode("utf-8", "backslashreplace")


class Faults:
    """The faults of an index by root and path, as they stand in its folder.

    A damaged list is begun anew, since all that it costs is to try its files again.
    """

    def __init__(self, folder: str | os.PathLike):
        self.path = Path(folder) / BAD
        self.known: dict[tuple[int, bytes], Fault] = {}
        self.fresh: list[Fault] = []
        self.changed = False
        try:
            for line in byte_lines(self.path):
                record = parse_json(line.decode("utf-8"))
                fault = Fault(**{**record, "path": os.fsencode(record["path"])})
                self.known[fault.root, fault.path] = fault
        except FileNotFoundError:
            pass
        except (OSError, ValueError, TypeError, KeyError, DataError):
            self.known, self.changed = {}, True

    def __len__(self) -> int:
        return len(self.known)

    def add(self, fault: Fault) -> None:
        """A fault that was found now."""
        self.known[fault.root, fault.path] = fault
        self.fresh.append(fault)
        self.changed = True

    def of_root(self, root: int) -> list[Fault]:
        """Those of a root."""
        return [fault for (number, _), fault in self.known.items() if number == root]

    def forget(self, root: int, paths: Iterable[bytes] | None = None) -> None:
        """Drop those of a root, or these paths of it: their files are gone, or are well."""
        dropped = (
            [(root, path) for path in paths] if paths is not None else [key for key in self.known if key[0] == root]
        )
        for key in dropped:
            self.changed |= self.known.pop(key, None) is not None

    def causes(self) -> Counter[str]:
        """How many were found now, by cause."""
        return Counter(fault.cause for fault in self.fresh)

    def write(self) -> None:
        """Replace the list in the folder, where it has changed; an empty one is none."""
        if not self.changed:
            return
        with reported(self.path):
            if self.known:
                with atomic_file(self.path) as handle:
                    handle.writelines(fault.line() for fault in self.known.values())
            else:
                self.path.unlink(missing_ok=True)
        self.changed = False

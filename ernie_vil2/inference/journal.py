"""Files that grow together: after a kill at any moment they continue from the last commit, byte for byte.

Data is appended to plain files. A commit makes it durable and notes all sizes, the progress and new ids in one SQLite
transaction; opening the files cuts off what was written after the last commit.
"""

import json
import os
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ..errors import DataError

DATABASE = "journal.sqlite"
TABLES = (
    "CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS ids (id TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID",
)
VERSION = 1
"""Of the tables; without the values of ids, an earlier journal cannot be gone on with"""


class Journal:
    """Growing files in `folder`, a dictionary `state` of JSON-able values, and a set of ids on the disk.

    identity: a dictionary; a folder that was begun with another one is refused with DataError, and so is one that
    another process is writing.
    """

    def __init__(self, folder: str | os.PathLike, identity: Mapping[str, Any]):
        self.folder = Path(folder)
        self.identity = identity
        self.files = {}
        self.folder.mkdir(parents=True, exist_ok=True)
        if os.listdir(self.folder) and not (self.folder / DATABASE).is_file():
            raise DataError(f"{self.folder} holds files of something else; move it away or choose another output")
        self.base = sqlite3.connect(self.folder / DATABASE, timeout=0, isolation_level=None)
        try:
            self.state = self.begin()
        except sqlite3.OperationalError as error:
            self.close()
            if "locked" not in str(error):
                raise
            raise DataError(f"another process is writing {self.folder}; wait for it or choose another output") from None
        except (sqlite3.DatabaseError, ValueError, TypeError, RecursionError, AttributeError):
            self.close()
            raise self.damaged() from None
        except BaseException:
            self.close()
            raise

    def begin(self) -> dict[str, Any]:
        """The state of the last commit; the identity is noted, or compared with the one that was."""
        self.base.execute("PRAGMA locking_mode = EXCLUSIVE")
        self.base.execute("BEGIN IMMEDIATE")
        for table in TABLES:
            self.base.execute(table)
        (version,) = self.base.execute("PRAGMA user_version").fetchone()
        self.base.execute(f"PRAGMA user_version = {VERSION}")
        notes = {name: json.loads(value) for name, value in self.base.execute("SELECT name, value FROM notes")}
        if not isinstance(notes.get("identity", {}), dict) or not is_state(notes.get("state", {})):
            raise ValueError
        if notes and version != VERSION:
            raise DataError(f"{self.folder} was begun by another version; delete that folder, or choose another output")
        different = differences(notes.get("identity", self.identity), self.identity)
        if different:
            raise DataError(
                f"{self.folder} was begun with another {different}; repeat the command that began it, "
                "or delete that folder, or choose another output"
            )
        self.state = notes.get("state", {})
        if not notes:
            self.commit()
        return self.state

    def damaged(self) -> DataError:
        """The error of a journal that does not say what one can."""
        return DataError(f"{self.folder / DATABASE} is damaged; delete {self.folder} and start again")

    def open(self, names: Iterable[str]) -> None:
        """Open the files for appending, at the sizes of the last commit."""
        sizes = self.state.get("sizes", {})
        for name in names:
            size = sizes.get(name, 0)
            if size and not (os.path.isfile(self.folder / name) and os.path.getsize(self.folder / name) >= size):
                raise self.damaged()
            handle = open(self.folder / name, "r+b" if size else "w+b")
            handle.truncate(size)
            handle.seek(size)
            self.files[name] = handle

    def write(self, name: str, data: bytes) -> None:
        """Append bytes to a file."""
        self.files[name].write(data)

    def knows(self, key: str) -> bool:
        """Whether an id is in the set."""
        return self.value(key) is not None

    def value(self, key: str) -> str | None:
        """What was added with an id, or None where it is not in the set."""
        found = self.base.execute("SELECT value FROM ids WHERE id = ?", (key,)).fetchone()
        return None if found is None else found[0]

    def add(self, key: str, value: str = "") -> None:
        """Put an id into the set, with a text beside it."""
        self.base.execute("INSERT INTO ids VALUES (?, ?)", (key, value))

    def commit(self, **state: Any) -> None:
        """What was written so far survives from here on; `state` updates the dictionary."""
        for handle in self.files.values():
            handle.flush()
            os.fsync(handle.fileno())
        sizes = {name: handle.tell() for name, handle in self.files.items()}
        self.state.update(state, sizes=sizes)
        for name, value in (("identity", self.identity), ("state", self.state)):
            self.base.execute("REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))
        self.base.execute("COMMIT")
        self.base.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        """Close everything; what was not committed is given up."""
        for handle in self.files.values():
            handle.close()
        self.files = {}
        self.base.close()


def is_state(value: object, groups: tuple[str, ...] = ("sizes", "counts", "causes")) -> bool:
    """Whether a value of JSON is a journal's state: counts by name, of which these alone are groups of counts."""
    return isinstance(value, dict) and all(
        is_state(inner, groups[2:] if name == "counts" else ()) if name in groups else is_count(inner)
        for name, inner in value.items()
    )


def is_count(value: object) -> bool:
    """Whether a value of JSON is a number of things, or says that something is done."""
    return isinstance(value, int) and 0 <= value < 1 << 53


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """The keys in which two identities differ, as words, or ''."""
    return " and ".join(sorted(key for key in {**old, **new} if old.get(key) != new.get(key)))

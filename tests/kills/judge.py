"""What may lie on the disk after a kill, and what must lie there at the end: every fault as a sentence."""

import contextlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterable
from pathlib import Path

from ernie_vil2.inference.journal import DATABASE
from ernie_vil2.inference.outputs import HEADER_BYTES

LEFTOVER = re.compile(r"\.tmp\b|\.replaced-|\.unchecked|\.partial\b|\.abandoned\b|-journal$|-wal$|-shm$")
"""In the name of what a kill may leave and a run that ends well may not."""
INDEX = "index.json"


def contents(place: Path) -> dict[str, bytes]:
    """{path below place: bytes}, or {"": bytes} of a file; {} of what is not there."""
    if place.is_file():
        return {"": place.read_bytes()}
    return {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*") if path.is_file()}


def different(place: Path, wanted: Path, but: Iterable[str] = ()) -> list[str]:
    """Files that are not byte for byte those of `wanted`, are missing, or are too many; `but` names those left out."""
    found, right, faults = contents(place), contents(wanted), []
    for name in sorted(set(found) | set(right)):
        what = f"{place.name}/{name}".rstrip("/")
        if name in but:
            continue
        if name not in found:
            faults.append(f"{what} is missing")
        elif name not in right:
            faults.append(f"{what} is one too many")
        elif found[name] != right[name]:
            pairs = enumerate(zip(found[name], right[name], strict=False))
            first = next((at for at, (one, other) in pairs if one != other), min(len(found[name]), len(right[name])))
            faults.append(f"{what} differs from byte {first} on ({len(found[name])} bytes, not {len(right[name])})")
    return faults


def absent_or_whole(place: Path, wanted: Path, but: Iterable[str] = ()) -> list[str]:
    """What is at a final place is all of it, byte for byte."""
    return different(place, wanted, but) if place.exists() and contents(place) else []


def leftovers(folder: Path) -> list[str]:
    """Names below a folder that only a kill can have left."""
    found = sorted(path for path in folder.rglob("*") if LEFTOVER.search(path.name))
    return [f"{path.relative_to(folder)} was left" for path in found if not any(up in found for up in path.parents)]


def torn_encoding(out: Path, wanted: Path) -> list[str]:
    """Encoding that was killed: its output is whole or not there, and what its journal counts is there and right."""
    faults = absent_or_whole(out, wanted, but=[DATABASE])
    work = out.with_name(f"{out.name}.partial")
    for name, size in committed(work).items():
        final, right = (encoded(place, name, wanted.is_dir()) for place in (out, wanted))
        lying = work / name if (work / name).exists() else final
        start = HEADER_BYTES if name.endswith(".npy") else 0  # the true count is written at the end
        if not lying.exists() or lying.read_bytes()[start:size] != right.read_bytes()[start:size]:
            faults.append(f"{name} does not begin with the {size} bytes that are committed")
    return faults


def encoded(out: Path, name: str, arrays: bool) -> Path:
    """The final place of a file of encoding, in either form."""
    if arrays:
        return out / name
    return out if name == "rows.tsv" else out.with_name(f"{out.name}.{name}")


def committed(work: Path) -> dict[str, int]:
    """{file: bytes} of the last commit of encoding in its folder; {} before the first. Read in a copy: SQLite mends."""
    if not (work / DATABASE).is_file():
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for file in work.glob(f"{DATABASE}*"):
            shutil.copy(file, folder)
        with contextlib.closing(sqlite3.connect(Path(folder, DATABASE))) as base:
            try:
                row = base.execute("SELECT value FROM notes WHERE name = 'state'").fetchone()
            except sqlite3.OperationalError:  # killed before its tables were made
                return {}
    return json.loads(row[0]).get("sizes", {}) if row else {}


def torn_shards(out: Path, wanted: Path) -> list[str]:
    """Sharding that was killed: every tar under its final name is whole, and the index lists such ones only."""
    faults = []
    for tar in sorted(out.glob("*.tar")):
        faults += different(tar, wanted / tar.name)
    if (out / INDEX).exists():
        right = json.loads((wanted / INDEX).read_bytes())
        try:
            found = json.loads((out / INDEX).read_bytes())
            shards = found["shards"]
        except (ValueError, KeyError) as error:
            return [*faults, f"{INDEX} cannot be read: {error}"]
        if shards != right["shards"][: len(shards)]:
            faults.append(f"{INDEX} lists other shards than it should")
        faults += [f"{shard['name']} is listed and not there" for shard in shards if not (out / shard["name"]).exists()]
        if found["complete"]:
            faults += different(out, wanted)
    return faults


def torn_directory(out: Path, wanted: Path, older: Path | None = None) -> list[str]:
    """Converting that was killed: the new one, nothing, or the older one in its place or set aside; whole."""
    places = [out] if out.exists() else sorted(out.parent.glob(f"{out.name}.replaced-*"))
    if older is None:
        return absent_or_whole(out, wanted)
    if not places:
        return [f"{out.name} is gone, the older one too"]
    verdicts = [different(places[-1], right) for right in ((wanted, older) if out.exists() else (older,))]
    return [] if [] in verdicts else verdicts[0]

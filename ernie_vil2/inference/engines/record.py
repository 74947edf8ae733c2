"""engine.json of a built engine: what it was made of and with, and a checksum of every file beside it."""

import json
import os
from collections.abc import Mapping
from pathlib import Path

from ...files.atomic import sync_directory, synced_file
from ...files.digests import sha256_of
from ...files.json_files import SETTINGS_BYTES, read_json, with_checksum, without_checksum
from ...files.run_folder import is_list_of_files
from ...messages import quoted

RECORD = "engine.json"
MODEL = "model"
"""The fact that says which weights an engine was made of"""
DAMAGED = "is damaged"


def seal(folder: Path, facts: Mapping[str, str]) -> None:
    """Write the record of a folder that is complete, and see all of it on the disk; OSError where that is refused."""
    files = {}
    for path in plain_files(folder):
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        files[path.relative_to(folder).as_posix()] = {"bytes": path.stat().st_size, "sha256": sha256_of(path)}
    content = with_checksum({"facts": dict(facts), "files": files})
    with synced_file(folder / RECORD) as handle:
        handle.write((json.dumps(content, indent=1) + "\n").encode())
    for inner in (*(path for path in folder.rglob("*") if path.is_dir()), folder):
        sync_directory(inner)


def plain_files(folder: Path) -> list[Path]:
    """All files below a folder, its record apart; ValueError where something is neither a file nor a folder."""
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    if any(path.is_symlink() or not path.is_file() for path in found):
        raise ValueError("something in it is a link or no file")
    return [path for path in found if path != folder / RECORD]


def fault_of(folder: Path, facts: Mapping[str, str]) -> str | None:
    """Why a folder is not a whole engine of these facts, as words that follow its name; None where it is one."""
    if folder.is_symlink():
        return "is a link, which is not followed"
    try:
        files = {path.relative_to(folder).as_posix(): path for path in plain_files(folder)}
        content = without_checksum(read_json(folder / RECORD, most=SETTINGS_BYTES))
        found, listed = content["facts"], content["files"]
        if not isinstance(found, dict) or not is_list_of_files(listed):
            return DAMAGED
        if found != dict(facts):
            return difference(found, facts)
        if {name: about["bytes"] for name, about in listed.items()} != {
            name: path.stat().st_size for name, path in files.items()
        }:
            return DAMAGED
        return None if all(sha256_of(files[name]) == listed[name]["sha256"] for name in files) else DAMAGED
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return DAMAGED


def difference(found: Mapping[str, object], facts: Mapping[str, str]) -> str:
    """In what the facts of an engine differ from others, as words that follow its name."""
    if found.get(MODEL) != facts.get(MODEL):
        return "is of another model"
    name = next(name for name in (*facts, *found) if found.get(name) != facts.get(name))
    return f"was made with {name} {quoted(found.get(name), 40)}, and now it is {quoted(facts.get(name), 40)}"

"""Writing so that a reader sees the old file, the new file or none, and never a part of one."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import CheckpointError

ASIDE = ".replaced-"
"""Ending, before the process, of an older directory that steps aside for a new one"""


def temporary_name(path: str | os.PathLike) -> Path:
    """A sibling of `path` that no other process writes."""
    path = Path(path)
    return path.with_name(f"{path.name}.tmp-{os.getpid()}")


def sync_directory(path: str | os.PathLike) -> None:
    """Make renames inside `path` last through a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def synced_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file open for writing that is on the disk when the block is left."""
    with open(path, "wb") as handle:
        yield handle
        handle.flush()
        os.fsync(handle.fileno())


@contextmanager
def atomic_file(path: str | os.PathLike) -> Iterator[BinaryIO]:
    """A binary file open for writing; it replaces `path` when the block ends well, and vanishes otherwise."""
    path = Path(path)
    temporary = temporary_name(path)
    try:
        with synced_file(temporary) as handle:
            yield handle
        os.replace(temporary, path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def reported(path: str | os.PathLike) -> Iterator[None]:
    """Turn an operating system's refusal while writing `path` into one sentence."""
    try:
        yield
    except OSError as error:
        raise CheckpointError(
            f"cannot write {path}: {error.strerror or error}; free some space or choose another place "
            "(nothing incomplete was left in its place)"
        ) from error


def replace_directory(new: Path, path: Path) -> None:
    """Rename `new` to `path`; an older directory steps aside first, where it still lies if this stops between."""
    aside = path.with_name(f"{path.name}{ASIDE}{os.getpid()}")
    if path.exists():
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)
    os.replace(new, path)
    sync_directory(path.parent)
    shutil.rmtree(aside, ignore_errors=True)


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """The place of a directory that the block makes; it replaces `path` when the block ends well, and vanishes
    otherwise. CheckpointError where the system refuses."""
    path = Path(path)
    temporary = temporary_name(path)
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            yield temporary
            replace_directory(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

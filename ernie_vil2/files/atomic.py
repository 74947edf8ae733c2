"""Writing so that a reader sees the old file, the new file or none, and never a part of one."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import CheckpointError


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

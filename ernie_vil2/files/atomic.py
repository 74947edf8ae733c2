"""Writing so that a reader sees the old file, the new file or none, and never a part of one."""

import logging
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from ..errors import CheckpointError, advice, meant
from ..messages import plain
from .leftovers import ASIDE as ASIDE
from .leftovers import aside_name, clear_leftovers, temporary_name

LOG = logging.getLogger("ernie_vil2")


def clear(path: str | os.PathLike, alone: bool = False) -> None:
    """Clear what killed writers of `path` left, and tell of it in the log. alone: see `clear_leftovers`."""
    for told in clear_leftovers(path, alone):
        LOG.warning("note: %s", plain(told))


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
    clear(path)
    temporary = temporary_name(path)
    try:
        with synced_file(temporary) as handle:
            yield handle
        os.replace(temporary, path)
        sync_directory(path.parent)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def reported(path: str | os.PathLike, kept: str | None = None) -> Iterator[None]:
    """Turn an operating system's refusal while writing `path` into one sentence.

    kept: what of it is there afterwards; by default the older version, which nothing touches before a new one is whole.
    """
    try:
        yield
    except OSError as error:
        older = f"{path} is as it was before" if os.path.lexists(path) else "nothing incomplete was left in its place"
        raise CheckpointError(
            f"cannot write {meant(path)}: {error.strerror or error}; {advice(error)} ({meant(kept or older)})"
        ) from error


def behind_link(path: str | os.PathLike) -> Path:
    """The folder that a link leads to, so that what is made lies beside it, on its disk; any other path as it is."""
    return Path(os.path.realpath(path)) if os.path.islink(path) else Path(path)


def replace_directory(new: Path, path: Path) -> None:
    """Rename `new` to `path`, or to the folder that it is a link to; an older directory steps aside first, where it
    still lies if this stops between."""
    path = behind_link(path)
    if path.exists():
        aside, done = aside_name(path), temporary_name(path)
        shutil.rmtree(aside, ignore_errors=True)
        os.replace(path, aside)
        try:
            os.replace(new, path)
        except OSError:
            os.replace(aside, path)
            raise
        sync_directory(path.parent)
        shutil.rmtree(done, ignore_errors=True)
        os.replace(aside, done)  # what steps aside is always whole, so that it may be put back after a kill
        shutil.rmtree(done, ignore_errors=True)
    else:
        os.replace(new, path)
        sync_directory(path.parent)


@contextmanager
def atomic_directory(path: str | os.PathLike) -> Iterator[Path]:
    """The place of a directory that the block makes; it replaces `path` when the block ends well, and vanishes
    otherwise. CheckpointError where the system refuses."""
    path = Path(path)
    temporary = temporary_name(path)
    with reported(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        clear(path)
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            yield temporary
            replace_directory(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

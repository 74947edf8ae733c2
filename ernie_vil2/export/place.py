"""Where an export goes: claimed before any work, made beside its place, and put there whole."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..errors import ConfigError
from ..files.atomic import clear, replace_directory, reported, sync_directory, temporary_name
from ..files.claim import Claims, inside
from .description import COMMAND, is_export

TAKEN = (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR)
"""What the system says of a place where something is"""


def claim(target: str | os.PathLike, model: str | os.PathLike, vocab: str | os.PathLike | None, replace: bool) -> None:
    """ConfigError in one sentence for a place that must stay as it is."""
    Claims(COMMAND, [model, vocab], replace).folder(target, "a folder of an export", is_export)
    if inside(Path(target), Path(model)):
        raise ConfigError(f"{target} lies in the model that is exported; choose a place outside of {model}")
    if not replace and is_export(Path(target)):
        raise ConfigError(f"{target} is an earlier export; choose another name, or give --replace to replace it")


@contextmanager
def new_folder(target: str | os.PathLike, replace: bool) -> Iterator[Path]:
    """A folder beside `target`, which it becomes when the block ends well, and vanishes otherwise. ConfigError where
    another process has made `target` meanwhile and it is not to be replaced, CheckpointError where the system refuses.
    """
    place = Path(os.path.realpath(target))
    made = temporary_name(place)
    with reported(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        clear(place)
        shutil.rmtree(made, ignore_errors=True)
        try:
            made.mkdir()
            yield made
            sync(made)
            if replace:
                replace_directory(made, place)
            else:
                put(made, place)
        finally:
            shutil.rmtree(made, ignore_errors=True)


def sync(folder: Path) -> None:
    """See the files of a folder on the disk: libraries wrote some of them."""
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    sync_directory(folder)


def put(made: Path, place: Path) -> None:
    """Rename a folder to a place where nothing is, or an empty folder: the system looks there in the same moment."""
    try:
        os.rename(made, place)
    except OSError as error:
        if error.errno not in TAKEN:
            raise
        raise ConfigError(
            f"{place} was written by another process meanwhile; choose another name, or give --replace to replace it"
        ) from None
    sync_directory(place.parent)

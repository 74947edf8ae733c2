"""Where an output can be written, asked before any work: nothing is left behind by asking."""

import contextlib
import os
from pathlib import Path

from ...errors import REMOVED, ConfigError, advice, folder_removed
from ..leftovers import UNCHECKED, temporary_name

LONGEST_NAME = 255
"""Bytes of the longest name of a file, where a file system does not say another number"""


def user_cache_folder() -> Path | None:
    """The user's folder of what can be made anew (XDG); None for a user without a home."""
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "ernie-vil2")
    except RuntimeError:
        return None


def check_file(target: str | os.PathLike, parents: bool = False) -> None:
    """ConfigError in one sentence unless a file of the name `target` can be made, or put in the place of another.

    parents: whether the folders above it are made as well.
    """
    with _refused(target):
        _check_name(target, "file")
        if os.fspath(target).endswith(os.sep):
            raise ConfigError(f"{target} is the name of a folder; name the file to write")
        _check_link(target, "file")
        above = os.path.dirname(target) or "."
        if not parents and not os.path.lexists(above):
            raise ConfigError(f"the folder of {target} does not exist; create it first")
        _check_folder(above, target)


def check_folder(target: str | os.PathLike, replaced: bool = False) -> None:
    """ConfigError in one sentence unless a folder of the name `target`, and files in it, can be made.

    replaced: whether a new folder takes the place of an older one, which cannot be done with the folder in which the
    command runs, nor with one that holds it.
    """
    with _refused(target):
        _check_name(target, "folder")
        if replaced and not folder_removed():
            path, place = os.path.realpath(target), os.path.realpath(os.curdir)
            if os.path.join(place, "").startswith(os.path.join(path, "")):
                holds = "is the folder in which" if path == place else "holds the folder in which"
                raise ConfigError(f"{target} {holds} the command runs, so it cannot be replaced; name a new folder")
        _check_link(target, "folder")
        if replaced and os.path.ismount(os.path.realpath(target)):
            raise ConfigError(f"{target} is where a disk is mounted, so it cannot be replaced; name a folder in it")
        if os.path.isdir(target) or not replaced and os.path.lexists(target):
            _check_folder(target, target)
        if replaced or not os.path.isdir(target):
            _check_folder(os.path.dirname(os.path.abspath(target)), target)


@contextlib.contextmanager
def _refused(target):
    """Turn a refusal of the system, and a name that Python does not take, into a ConfigError."""
    try:
        if not os.path.isabs(target) and folder_removed():
            raise ConfigError(f"cannot write {target}: {REMOVED}")
        yield
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"cannot write {target}: {reason}; {advice(error, 'choose another name or place')}") from None


def _check_name(target, what):
    text = os.fspath(target)
    if not text.strip():
        raise ConfigError(f"the name of the output is empty; name the {what} to write")
    if "\0" in text:
        raise ConfigError(f"{text!r} has a zero byte, which no name of a {what} has; choose another name")
    path = Path(text)
    if path.name in ("", os.pardir):
        if what == "file":
            raise ConfigError(f"{text} is a folder; name the file to write, for example {path / 'out'}")
        if not path.is_dir():
            raise ConfigError(f"{text} is no name of a new folder; name it without .. at the end")
        return
    added = len(os.fsencode(temporary_name(f"{path}{UNCHECKED}").name)) - len(os.fsencode(path.name))
    if (length := len(os.fsencode(path.name))) + added > (most := _longest_name(path.parent)):
        raise ConfigError(
            f"{text} has a name of {length} bytes, and at most {most - added} can be written there; choose a shorter "
            "name"
        )


def _longest_name(folder):
    with contextlib.suppress(OSError, ValueError):
        return os.pathconf(folder, "PC_NAME_MAX")
    return LONGEST_NAME


def _check_link(target, what):
    path = os.fspath(target).rstrip(os.sep)
    if os.path.islink(path) and not os.path.exists(path):
        with contextlib.suppress(FileNotFoundError):
            os.stat(path)  # the system tells of a circle
        raise ConfigError(
            f"{target} is a link to {os.readlink(path)}, which is not there; remove the link, or name another {what}"
        )


def _check_folder(folder, target):
    """ConfigError unless files can be made in a folder, or in the nearest one above it that exists."""
    while not os.path.lexists(folder):
        above = os.path.dirname(folder)
        folder = (folder if above == folder else above) or os.curdir
    if not os.path.isdir(folder):
        what = "a link to nothing" if os.path.islink(folder) and not os.path.exists(folder) else "a file"
        raise ConfigError(f"cannot write {target}: {folder} is {what} and no folder; choose another place")
    try:
        _try(folder)
    except OSError as error:
        reason = f"no file can be made in {folder} ({error.strerror})"
        raise ConfigError(f"cannot write {target}: {reason}; {advice(error, 'choose another place')}") from None


def _try(folder):
    """Make a file in a folder: one without a name, where the file system has such."""
    if hasattr(os, "O_TMPFILE"):
        with contextlib.suppress(OSError):
            os.close(os.open(folder, os.O_TMPFILE | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            return
    tried = temporary_name(os.path.join(folder, "try"))
    os.close(os.open(tried, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
    os.unlink(tried)

"""Errors that a person can act on: one sentence with what, where and what to do next."""

import atexit
import contextlib
import difflib
import errno
import itertools
import os
import re
import signal
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from .messages import LONGEST, brief, plain, quoted
from .stop import Stopped

COMPARED = 1000
"""Names, and characters of a name, that are compared with a misspelt one"""
TEMPORARY = re.compile(r"(\.unchecked|\.join)?(\.tmp-\d+|\.replaced-\d+)(-\w+)?(?=[/'\"]|$)")
"""What names of files have at their end that are written, before they get the name they are for"""
SPACE = "free some space or choose another place"
ADVICE = {
    errno.EACCES: "change its permissions or choose another place",
    errno.EDQUOT: SPACE,
    errno.EFBIG: "raise the limit of file sizes (ulimit -f) or choose another place",
    errno.EINVAL: "choose another name or place",
    errno.EIO: "check the disk or choose another place",
    errno.EISDIR: "name a file",
    errno.ELOOP: "remove the circle of links",
    errno.EMFILE: "raise the limit of open files with ulimit -n",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.ENFILE: "close other programs, which hold too many files open",
    errno.ENOENT: "correct the path",
    errno.ENOMEM: "close other programs or take a machine with more memory",
    errno.ENOSPC: SPACE,
    errno.ENOTDIR: "correct the path, a part of which is no folder",
    errno.EPERM: "change its permissions or choose another place",
    errno.EROFS: "choose a place that can be written to",
}

REMOVED = "the folder in which the command runs was removed; change to another"
OF_A_PATH = (errno.ENOENT, errno.EISDIR, errno.EINVAL)
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOMEM)


def advice(error: BaseException, usual: str | None = None) -> str:
    """What can be done about an operating system's refusal, as a clause.

    usual: what to do where the path is to blame and not the system, and where nothing better is known.
    """
    number = getattr(error, "errno", None)
    if usual is not None and number in OF_A_PATH:
        return usual
    return ADVICE.get(number, usual or "correct that or choose another place")


def exhausted(error: BaseException) -> bool:
    """Whether the system has no more of something: then no file and no row is to blame, and others would be, too."""
    return getattr(error, "errno", None) in EXHAUSTED


class UserError(Exception):
    """Base of every error caused by input; tools print it as one line, without a traceback."""

    def __str__(self) -> str:
        return brief(self.sentence())

    def sentence(self) -> str:
        """All that the error has to say, before it is cut to one line."""
        return super().__str__()


class ConfigError(UserError):
    """A configuration file, an override or a command-line value is wrong."""


class CheckpointError(UserError):
    """A weights file or a model directory cannot be used as it is."""


class DataError(UserError):
    """A sample, a line or a file of a source cannot be used."""


class ImageError(DataError):
    """The bytes of one image cannot be decoded, or are over a limit."""


def nearest(word: object, known: Iterable[object]) -> str | None:
    """The known word closest in spelling to `word`, or None when none is close."""
    word = word if isinstance(word, str) else quoted(word)
    if len(word) > LONGEST:
        return None
    names = [str(item)[:COMPARED] for item in itertools.islice(known, COMPARED)]  # a hostile file may have millions
    match = difflib.get_close_matches(word, names, n=1, cutoff=0.5)
    return match[0] if match else None


def cause_of(error: BaseException) -> str:
    """One line on an error of any kind; those of others are named with their type."""
    text = " ".join(str(error).split()) or "without a word"
    own = isinstance(error, UserError) or type(error).__module__.startswith(__package__)
    return text if own else brief(f"{type(error).__name__}: {meant(text)}", 300)


def run_tool(main: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> NoReturn:
    """Run a tool's `main` and leave the process: 0 on success, 1 on a UserError (one line), 130 on Ctrl-C, 143 on a
    SIGTERM that the tool answered."""
    open_closed_streams()
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack Chinese, and names may be no text
    try:
        status = main(argv)
        sys.stdout.flush()
    except SystemExit:
        leave_streams()
        raise
    except UserError as error:
        status = failed(str(error))
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, Stopped) else Stopped()
        failed(plain(str(stopped)), "")
        status = stopped.status
    except BrokenPipeError:
        status = failed("")
    except OSError as error:
        fix = f"{error.strerror or error}; {advice(error)}"
        if isinstance(error, FileNotFoundError) and not error.filename and folder_removed():
            fix = REMOVED
        status = failed(brief(f"{place_of(error)}{fix}"))
    except MemoryError as error:
        status = failed(brief(f"not enough memory ({error}); use smaller batches or files"))
    except UnicodeEncodeError as error:
        if error.encoding == "utf-8" or error.encoding != sys.getfilesystemencoding():
            raise
        fix = "set LANG=C.UTF-8, or use names of ASCII letters"
        status = failed(brief(f"{error.object}: no name in this system's encoding, {error.encoding}; {fix}"))
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C has nothing left to stop
    leave_streams()
    sys.exit(status or 0)


def open_closed_streams() -> None:
    """Open standard streams that were closed: the next file would get the number of one, and what is printed."""
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            null = os.open(os.devnull, os.O_RDWR)
            if null != number:
                os.dup2(null, number)
                os.close(null)
            mode = "r" if name == "stdin" else "w"
            stream = os.fdopen(number, mode, encoding="utf-8", errors="backslashreplace", closefd=False)
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)


def folder_removed() -> bool:
    """Whether the folder in which the process runs is no longer there."""
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False


def place_of(error: OSError) -> str:
    """The path in an error of the system, as a beginning of a sentence; of a temporary file the one it is for."""
    path = error.filename2 or error.filename
    if path is None or isinstance(path, int):
        return "standard output or a file: " if error.errno in (errno.ENOSPC, errno.EIO) else ""
    return f"{meant(os.fsdecode(path))}: "


def meant(path: str | os.PathLike) -> str:
    """A path in which names of temporary files are those of the files that they are for."""
    return TEMPORARY.sub("", os.fspath(path))


def failed(sentence: str, head: str = "error: ") -> int:
    """Print why a tool ends, where somebody can read it; the status to leave with."""
    with contextlib.suppress(OSError, ValueError):
        if sentence:
            print(f"{head}{sentence}", file=sys.stderr, flush=True)
    return 1


def leave_streams() -> None:
    """Print what is left, or drop it where nobody reads it any more: Python would complain of it at its end."""
    for stream, number in ((sys.stdout, 1), (sys.stderr, 2)):
        try:
            stream.flush()
        except (OSError, ValueError):
            with contextlib.suppress(OSError):
                os.dup2(os.open(os.devnull, os.O_WRONLY), number)

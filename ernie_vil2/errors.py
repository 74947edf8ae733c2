"""Errors that a person can act on: one sentence with what, where and what to do next."""

import atexit
import difflib
import errno
import itertools
import signal
import sys
import unicodedata
from collections.abc import Callable, Iterable
from typing import NoReturn

from .stop import Stopped

LONGEST = 480
"""Characters of the longest sentence that an error is told in"""
COMPARED = 1000
"""Names, and characters of a name, that are compared with a misspelt one"""
UNSHOWN = ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
"""Unicode categories of what moves a terminal's cursor, cannot be seen or is no text"""
SPACE = "free some space or choose another place"
ADVICE = {
    errno.EACCES: "change its permissions or choose another place",
    errno.EDQUOT: SPACE,
    errno.EFBIG: "make it smaller or choose another place",
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


def brief(text: str, most: int = LONGEST) -> str:
    """`text` as one line that a terminal shows as it is: what cannot be shown is escaped, and what is longer than
    `most` characters loses its middle."""
    text = without_middle(text, most)
    return text if text.isprintable() else without_middle("".join(map(shown, text)), most)


def without_middle(text: str, most: int) -> str:
    """`text` with at most `most` characters: of a longer one the first two thirds and the end."""
    return text if len(text) <= most else f"{text[: 2 * most // 3]} ... {text[5 - most + 2 * most // 3 :]}"


def shown(character: str) -> str:
    """One character, escaped where it is none to be seen; a byte that is no text as \\x and two digits."""
    if unicodedata.category(character) not in UNSHOWN:
        return character
    if "\udc80" <= character <= "\udcff":
        return f"\\x{ord(character) - 0xDC00:02x}"
    return ascii(character)[1:-1]


def advice(error: OSError) -> str:
    """What can be done about an operating system's refusal, as a clause."""
    return ADVICE.get(error.errno, "correct that or choose another place")


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
    names = [str(item)[:COMPARED] for item in itertools.islice(known, COMPARED)]  # a hostile file may have millions
    match = difflib.get_close_matches(str(word)[:COMPARED], names, n=1, cutoff=0.5)
    return match[0] if match else None


def cause_of(error: BaseException) -> str:
    """One line on an error of any kind; those of others are named with their type."""
    text = " ".join(str(error).split()) or "without a word"
    own = isinstance(error, UserError) or type(error).__module__.startswith(__package__)
    return text if own else brief(f"{type(error).__name__}: {text}", 300)


def run_tool(main: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> NoReturn:
    """Run a tool's `main` and leave the process: 0 on success, 1 on a UserError (one line), 130 on Ctrl-C, 143 on a
    SIGTERM that the tool answered."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")  # a terminal may lack Chinese, and names may be no text
    try:
        status = main(argv)
    except UserError as error:
        print(f"error: {error}", file=sys.stderr)
        status = 1
    except KeyboardInterrupt as error:
        stopped = error if isinstance(error, Stopped) else Stopped()
        print(stopped, file=sys.stderr)
        status = stopped.status
    except BrokenPipeError:
        sys.stderr.close()
        status = 1
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        print(brief(f"error: {place}{error.strerror or error}; {advice(error)}"), file=sys.stderr)
        status = 1
    except MemoryError as error:
        print(brief(f"error: not enough memory ({error}); use smaller batches or files"), file=sys.stderr)
        status = 1
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C has nothing left to stop
    sys.exit(status or 0)

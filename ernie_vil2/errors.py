"""Errors that a person can act on: one sentence with what, where and what to do next."""

import atexit
import difflib
import signal
import sys
from collections.abc import Callable, Iterable
from typing import NoReturn

from .stop import Stopped


class UserError(Exception):
    """Base of every error caused by input; tools print it as one line, without a traceback."""


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
    match = difflib.get_close_matches(str(word), [str(item) for item in known], n=1, cutoff=0.5)
    return match[0] if match else None


def cause_of(error: BaseException) -> str:
    """One line on an error of any kind; those of others are named with their type."""
    text = " ".join(str(error).split()) or "without a word"
    own = isinstance(error, UserError) or type(error).__module__.startswith(__package__)
    return text if own else f"{type(error).__name__}: {text[:300]}"


def run_tool(main: Callable[[list[str] | None], int | None], argv: list[str] | None = None) -> NoReturn:
    """Run a tool's `main` and leave the process: 0 on success, 1 on a UserError (one line), 130 on Ctrl-C, 143 on a
    SIGTERM that the tool answered."""
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
        hint = "change its permissions" if isinstance(error, PermissionError) else "free some space"
        print(f"error: {place}{error.strerror or error}; {hint} or choose another place", file=sys.stderr)
        status = 1
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)  # one more Ctrl-C has nothing left to stop
    sys.exit(status or 0)

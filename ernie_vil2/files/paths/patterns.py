"""The paths that an argument stands for: globs, braces as webdataset and open_clip have them, `::` between paths."""

import errno
import glob
import itertools
import math
import os
import re

from ...errors import REMOVED, ConfigError, DataError, advice, folder_removed, nearest
from ...schema import text_error

MOST = 500_000
"""Names that braces may stand for"""
DEEPEST = 16
"""Opening braces in a path that is expanded; with more it stays as it is"""
RANGE = re.compile(r"(-?\d{1,18}|[A-Za-z])\.\.(-?\d{1,18}|[A-Za-z])(?:\.\.(-?\d{1,18}))?")
JOIN = "::"
ADDRESS = re.compile("[a-z][a-z0-9+.-]+:/", re.IGNORECASE)  # a Path has one / left
WINDOWS = re.compile(r"[A-Za-z]:[\\/]")
MOST_CHARACTERS, MOST_OF_NAME, MOST_WALKS = 4095, 1000, 3
"""Of a path as Linux takes it; of a pattern for one name, which Python compiles in quadratic time; of `**` in a glob"""


def paths_of(text: str) -> list[str]:
    """The paths that a path, a glob, a name with braces, or several of them between `::` stand for.

    Those of a glob are sorted, those of braces come in their order. Raises DataError where there is none, naming the
    first that is missing, and ConfigError for braces that stand for more than MOST names.
    """
    parts = [text] if os.path.lexists(text) else text.split(JOIN)
    if "" in parts and len(parts) > 1:
        raise DataError(
            f"no such file or folder as '', on one side of {JOIN} in {text}; leave {JOIN} out or add the name"
        )
    return [path for part in parts for path in _paths_of_part(os.path.expanduser(part))]


def _paths_of_part(text):
    if os.path.lexists(text):
        if refusal := _refusal(text):
            raise refusal
        if not os.path.exists(text):
            raise DataError(f"{text}: is a link to {os.readlink(text)}, which is not there; correct or remove the link")
        return [text]
    found = []
    for name in expanded(text):
        if os.path.exists(name):
            found.append(name)
        elif glob.has_magic(name):
            found += _globbed(name)
        else:
            raise _missing(name, text)
    return found


def _refusal(text):
    """The DataError of a path that the system does not follow, for another reason than that it is not there."""
    try:
        os.stat(text)
    except OSError as error:
        if error.errno != errno.ENOENT:
            return DataError(f"{text}: {error.strerror}; {foreign(text) or advice(error)}")
    except ValueError:  # a zero byte
        return None
    return None


def _globbed(text):
    found = paths_like(text)
    if not found and not os.path.isabs(text) and folder_removed():
        raise DataError(f"no file matches {text}: {REMOVED}")
    if not found:
        raise DataError(f"no file matches {text}; {foreign(text) or f'correct the pattern{_relative(text)}'}")
    return found


def _relative(text):
    return "" if os.path.isabs(text) else f" (it is relative to {os.getcwd()})"


def _missing(name, text):
    if not os.path.isabs(name) and folder_removed():
        return DataError(f"{name}: {REMOVED}")
    if refusal := _refusal(name):
        return refusal
    parent, last = os.path.split(name)
    beside = os.listdir(parent or ".") if os.path.isdir(parent or ".") else []
    close = nearest(last, beside)
    hint = f"did you mean {os.path.join(parent, close)}?" if close else "correct the path"
    of = "" if name == text else f", the first missing of those that {text} stands for"
    return DataError(f"{name}: no such file or folder{of}; {foreign(name) or hint}")


def foreign(text: str) -> str | None:
    """What is to be done with a path that has a meaning elsewhere, of Windows or of the network; else None."""
    if text.startswith("pipe:"):
        return "this is a command, and none is run: give files"
    if ADDRESS.match(text):
        return "this is an address, and only files are read: download it first"
    if "\\" not in text and not WINDOWS.match(text):
        return None
    here = text.replace("\\", "/")
    if WINDOWS.match(text):
        here = f"/mnt/{text[0].lower()}/{here[3:]}"  # as WSL mounts drives
    if os.path.exists(here):
        return f"this is a path of Windows: did you mean {here}?"
    return "this is a path of Windows: give the one on this machine, with / between folders"


def is_braces(text: str) -> bool:
    """Whether a text that begins with { and ends with } has names in braces: a mapping of YAML has a colon in it."""
    return ":" not in text.replace(JOIN, "") and len(_pieces(text)) > 1


def expanded(text: str) -> list[str]:
    """The names that a text with braces stands for, as bash expands them: {a,b}, {00..12}, {0..10..5}, nested ones.

    Raises ConfigError for more than MOST names, of which no more are made.
    """
    pieces = _pieces(text)
    if math.prod(map(len, pieces)) > MOST:
        raise ConfigError(f"{text} stands for over {MOST:,} names; correct the numbers in its braces")
    return list(map("".join, itertools.product(*pieces)))


def _pieces(text: str) -> list[list[str]]:
    """What the text consists of, one after the other: for each place the texts that can stand there.

    They stop where there are too many already.
    """
    pieces, room, deepest = [], MOST, text.count("{") > DEEPEST
    while room and not deepest and (group := _first_group(text)):
        start, end, parts = group
        names = list(itertools.islice(parts, room + 1))
        pieces += [[text[:start]], names]
        room, text = room // max(len(names), 1), text[end:]
    return [*pieces, [text]]


def _first_group(text):
    """(start, end, names) of the first braces that stand for several names; None where there are none."""
    for start in (at for at, letter in enumerate(text) if letter == "{"):
        depth, cuts = 0, [start]
        for at in range(start, len(text)):
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            if text[at] == "," and depth == 1:
                cuts.append(at)
            if depth:
                continue
            cuts.append(at)
            inner = text[start + 1 : at]
            if len(cuts) > 2:
                parts = [text[first + 1 : last] for first, last in itertools.pairwise(cuts)]
                return start, at + 1, _each(parts)
            if counted := RANGE.fullmatch(inner):
                names = _counted(*counted.groups())
                if names is not None:
                    return start, at + 1, names
            break
    return None


def _each(parts):
    for part in parts:
        yield from expanded(part)


def _counted(first, last, step):
    """The names of a range, one after the other; None where its ends are of two kinds."""
    numbers = [re.fullmatch(r"-?\d+", end) is not None for end in (first, last)]
    if numbers[0] != numbers[1]:
        return None
    low, high = (int(end) if numbers[0] else ord(end) for end in (first, last))
    stride = (abs(int(step)) if step else 1) or 1
    values = range(low, high + 1, stride) if low <= high else range(low, high - 1, -stride)
    if not numbers[0]:
        return map(chr, values)
    padded = any(len(end.lstrip("-")) > 1 and end.lstrip("-")[0] == "0" for end in (first, last))
    width = max(len(first), len(last)) if padded else 0
    return (f"{value:0{width}d}" for value in values)


def path_error(text: str) -> str | None:
    """Why a text can be no path, no glob and not several of them between `::`, as a clause with what to do, or None."""
    return text_error(text) or next(filter(None, map(part_error, text.split(JOIN))), None)


def part_error(text: str) -> str | None:
    """`path_error` of one path or glob."""
    if len(text) > MOST_CHARACTERS:
        return f"has {len(text):,} characters, more than a path can have; give a shorter one"
    if glob.has_magic(text):
        if max(map(len, text.split("/"))) > MOST_OF_NAME:
            return f"has a pattern of over {MOST_OF_NAME:,} characters; shorten it"
        if once(text).split("/").count("**") > MOST_WALKS:
            return f"has ** over {MOST_WALKS} times; leave some out"
    return None


def once(text: str) -> str:
    """A glob without a `**` right below another, which finds nothing more."""
    return re.sub(r"(^|/)(?:\*\*/)+(?=\*\*(?:/|$))", r"\1", text)


def paths_like(text: str) -> list[str]:
    """The paths that a glob stands for, sorted; none where `path_error` has something to say."""
    return [] if path_error(text) else sorted(glob.glob(once(text), recursive=True))

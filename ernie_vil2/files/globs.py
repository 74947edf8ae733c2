"""Paths that are named by a text: what can be one, and the globs whose cost is bounded."""

import glob
import re

from ..schema import text_error

MOST_CHARACTERS, MOST_OF_NAME, MOST_WALKS = 4095, 1000, 3
"""Of a path as Linux takes it; of a pattern for one name, which Python compiles in quadratic time; of `**` in a glob"""


def path_error(text: str) -> str | None:
    """Why a text can be no path and no glob, as a clause with what to do, or None."""
    if len(text) > MOST_CHARACTERS:
        return f"has {len(text):,} characters, more than a path can have; give a shorter one"
    if wrong := text_error(text):
        return wrong
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

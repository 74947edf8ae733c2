"""How a file says which command wrote it, so that the command knows it again."""

import os
import re
from pathlib import Path

MARK, ENDS = "written_by", 4096
"""The key of a JSON file that names the command, and the bytes at both ends of a file in which a mark is sought."""


def marked(command: str) -> str:
    """The words by which a command knows a page or a table of its own; a JSON file has them under MARK."""
    return f"ernie-vil2 {command}"


def comment(command: str) -> str:
    """The mark as the last line of HTML, SVG and Markdown."""
    return f"<!-- {MARK}: {marked(command)} -->\n"


def written_by(path: Path, command: str) -> bool:
    """Whether a file says that a command wrote it."""
    try:
        with open(path, "rb") as handle:
            ends = handle.read(ENDS)
            handle.seek(max(0, os.path.getsize(path) - ENDS))
            ends += b"\n" + handle.read()
    except OSError:
        return False
    mark = re.escape(marked(command).encode())
    return bool(re.search(rb'"%s": "%s"|<!-- %s: %s -->' % (2 * (MARK.encode(), mark)), ends))

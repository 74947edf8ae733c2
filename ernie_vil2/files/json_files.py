"""Results as JSON files."""

import json
import os
from typing import Any

from .atomic import atomic_file, reported
from .claim import MARK, marked


def write_json(path: str | os.PathLike, content: Any, command: str | None = None) -> None:
    """`content` as indented JSON; no half file is ever seen. Raises CheckpointError when it cannot be written.

    command: marks a report as that command's own, which it may replace.
    """
    if command is not None:
        content = {MARK: marked(command), **content}
    with reported(path), atomic_file(path) as handle:
        handle.write((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))

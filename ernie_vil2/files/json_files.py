"""Results as JSON files."""

import json
import os
from typing import Any

from .atomic import atomic_file, reported


def write_json(path: str | os.PathLike, content: Any) -> None:
    """`content` as indented JSON; no half file is ever seen. Raises CheckpointError when it cannot be written."""
    with reported(path), atomic_file(path) as handle:
        handle.write((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))

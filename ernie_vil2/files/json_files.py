"""Results as JSON files."""

import json

from .atomic import atomic_file, reported


def write_json(path, content):
    """`content` as indented JSON; no half file is ever seen. Raises CheckpointError when it cannot be written."""
    with reported(path), atomic_file(path) as handle:
        handle.write((json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode("utf-8"))

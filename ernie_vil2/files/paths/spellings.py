"""Two spellings of one source: `./photos.jsonl` and `photos.jsonl`, a whole path, a mapping of a path alone."""

import os
from collections.abc import Mapping
from typing import Any

import yaml

from ..yaml_files import parse_yaml

PATHS = ("path", "source", "sources", "tags", "boxes")
"""Keys of a source's mapping that name files"""


def one_spelling(spec: Any) -> Any:
    """A source as it is named in a configuration or an argument, with every path in it as the system resolves it."""
    if isinstance(spec, os.PathLike):
        spec = os.fspath(spec)
    if isinstance(spec, str):
        if spec.startswith("{") and spec.endswith("}"):
            try:
                return one_spelling(parse_yaml(spec))
            except (yaml.YAMLError, ValueError, RecursionError):
                return spec
        drawn = spec == "scenes" or spec.startswith("scenes:")
        return spec if drawn or not spec or "\0" in spec else os.path.realpath(os.path.expanduser(spec))
    if isinstance(spec, Mapping):
        if set(spec) == {"path"}:
            return one_spelling(spec["path"])
        return {key: one_spelling(value) if key in PATHS else value for key, value in spec.items()}
    return [one_spelling(part) for part in spec] if isinstance(spec, (list, tuple)) else spec


def same_source(one: Any, other: Any) -> bool:
    """Whether two specs name the same source."""
    return one == other or one_spelling(one) == one_spelling(other)

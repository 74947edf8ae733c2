"""Places that the rows of an index come from, as answers name them, and what of them is for this machine alone."""

import os
from collections.abc import Mapping
from typing import Any

from ...files.json_files import parse_json
from ...files.paths.names import name_text
from ...search.query.filter_terms import Terms


def source_name(root: Mapping[str, Any]) -> str:
    """What tells a place that rows come from, without where on the machine it lies: the last part of its path."""
    place = root.get("folder") or root.get("spec") or ""
    if place.startswith("{"):
        try:
            place = str(parse_json(place).get("path", ""))
        except (ValueError, AttributeError):
            place = ""
    return last_part(name_text(place))


def last_part(path: str) -> str:
    """What stands behind the last / of a path."""
    return path.rstrip(os.sep).rpartition(os.sep)[2]


def below_source(path: str) -> str:
    """A folder or a key of a row without where on the machine it lies: a source may name files by their whole paths."""
    return last_part(path) if os.path.isabs(path) else path


def asks_for_places(terms: Terms) -> bool:
    """Whether a filter names places of this machine, so that its answer would tell whether there are pictures there."""
    folders = (value for term in terms if term.field == "folder" for value in term.values)
    sources = (value for term in terms if term.field == "source" for value in term.values)
    return any(map(os.path.isabs, folders)) or not all(map(str.isdecimal, sources))

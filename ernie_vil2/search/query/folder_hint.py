"""What to say where a filter names a folder that an index does not have: which ones may be meant."""

import os

import pyarrow.compute as pc

from ...messages import brief
from .filter_rows import below, forms
from .filter_terms import Filter, terms_of
from .view import View

MOST, LONGEST = 3, 200
"""Folders that a sentence names, and its characters for them"""


def folder_hint(view: View, given: Filter) -> str:
    """A clause on the first folder of a filter in which, and below which, nothing lies; "" where there is none."""
    wanted = [value for term in terms_of(given) if term.field == "folder" and not term.negated for value in term.values]
    part, roots = view.part("image"), view.snapshot.manifest.roots
    missing = next((value for value in wanted if not (below(part.table, roots, value) & part.live).any()), None)
    if missing is None:
        return ""
    known = pc.unique(part.table["folder"]).to_pylist()
    told = f"no picture lies in folder:{brief(missing, LONGEST)}"
    if meant := ending_in(missing, known):
        more = f" and {len(meant) - MOST:,} more" if len(meant) > MOST else ""
        return f"{told}; is one of these meant: {brief(', '.join(meant[:MOST]), LONGEST)}{more}?"
    return f"{told}; write all of its path below the source, as the folders of the hits without this filter"


def ending_in(folder: str, known: list[str]) -> list[str]:
    """The folders, or parts of their paths, whose last names are those of `folder`."""
    found = set()
    for names in (path.split(os.sep) for path in known):
        for end in range(1, len(names) + 1):
            head = os.sep.join(names[:end])
            if any(head.endswith(f"{os.sep}{form.strip(os.sep)}") for form in forms(folder)):
                found.add(head)
    return sorted(found)

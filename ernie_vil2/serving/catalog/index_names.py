"""What indexes are called in addresses: as their folders are, but for what no address of the server has."""

import itertools
from collections.abc import Sequence

from ...files.paths.names import name_text

INSTEAD = "_"


def plain_name(folder: str) -> str:
    """The name of a folder with INSTEAD for a backslash, and for what cannot be seen or is no text."""
    return "".join(one if one.isprintable() and one != "\\" else INSTEAD for one in name_text(folder))


def distinct_names(folders: Sequence[str]) -> dict[str, str]:
    """{name of a folder: what its index is called}, no two alike; those that are plain already stay as they are."""
    found = {folder: folder for folder in folders if plain_name(folder) == folder}
    taken = set(found)
    for folder in folders:
        if folder not in found:
            plain = plain_name(folder)
            numbered = (f"{plain}~{number}" for number in itertools.count(2))
            found[folder] = next(name for name in itertools.chain([plain], numbered) if name not in taken)
            taken.add(found[folder])
    return found

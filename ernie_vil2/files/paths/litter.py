"""What programs leave in folders and archives beside the files of their users."""

import re

FOLDERS = ("__MACOSX", "@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found")
FILES = ("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "synofile_thumb")
NAMES = frozenset(name.lower() for name in FOLDERS + FILES)
PARTS = re.compile(r"[/\\]")


def is_litter(name: str) -> bool:
    """Whether a file or folder of this name is hidden, or made by a file manager for itself (`.DS_Store`,
    `__MACOSX`, `Thumbs.db`)."""
    return name.startswith(".") and name not in (".", "..") or name.lower() in NAMES


def lies_in_litter(path: str) -> bool:
    """Whether a part of a relative path, such as the name of a member of an archive, is litter."""
    return any(is_litter(part) for part in PARTS.split(path))

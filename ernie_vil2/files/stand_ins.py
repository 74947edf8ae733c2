"""What lies where a file should be when it was not fetched: a pointer of Git LFS, or the page of a server."""

import os
import re
import stat

HEAD = 512
"""First bytes of a file that are enough to tell"""
MARK = b"\xef\xbb\xbf"
PAGE = re.compile(rb"\s*<(!doctype|html|head|body|\?xml|!--)", re.IGNORECASE)
DRAWING = re.compile(rb"<(!doctype\s+)?svg", re.IGNORECASE)


def stand_in(head: bytes) -> str | None:
    """What a file with these first bytes is in place of itself, as `is ...; what to do`; None for any other."""
    head = head[:HEAD].removeprefix(MARK)
    if head.startswith(b"version https://git-lfs"):
        return "is a Git LFS pointer, not the file itself; fetch it with git lfs pull"
    if PAGE.match(head) and not DRAWING.search(head):
        return "is a web page, which a server may have sent in place of the file; download it again"
    return None


def stand_in_at(path: str | os.PathLike) -> str | None:
    """`stand_in` of a file; None where it cannot be read, or is no plain file."""
    try:
        if stat.S_ISREG(os.stat(path).st_mode):
            with open(path, "rb") as handle:
                return stand_in(handle.read(HEAD))
    except OSError:
        pass
    return None

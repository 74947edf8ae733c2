"""The header Range (RFC 9110): which bytes of a content are asked for."""

import re

UNIT = "bytes="
ONE = re.compile(r"\s*(\d{0,19})\s*-\s*(\d{0,19})\s*", re.ASCII)
LONGEST = 200
"""Characters of a header that is looked at"""


class Unsatisfiable(Exception):
    """No byte of the content is asked for, or several ranges at once, which are not given."""


def asked_range(header: str | None, size: int) -> range | None:
    """The bytes that a header asks for, of a content of `size` bytes; None for all of them: without a header, and with
    one that is none, which the rule is to pass over. Raises Unsatisfiable."""
    if header is None or len(header) > LONGEST or not header.lower().startswith(UNIT):
        return None
    asked = header[len(UNIT) :]
    if "," in asked:
        raise Unsatisfiable
    found = ONE.fullmatch(asked)
    if not found or found[1] == found[2] == "":
        return None
    if found[1] == "":
        first, last = max(0, size - int(found[2])), size - 1
    else:
        first, last = int(found[1]), min(int(found[2] or size), size - 1)
        if found[2] and int(found[2]) < first:
            return None
    if first > last:
        raise Unsatisfiable
    return range(first, last + 1)

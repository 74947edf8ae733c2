"""Walk over the members of a tar by its headers alone: contents are passed over, nothing is unpacked, no link followed.

Read are ustar, GNU long names and numbers, and the pax keys `path` and `size` (POSIX.1-2017, pax; GNU tar manual,
"Basic Tar Format"). Whatever is not a plain file with a harmless name is a member with a `fault`, and the walk goes on.
"""

import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from ....files.paths.names import decode_name

BLOCK = 512
ZEROS = bytes(BLOCK)
MAX_EXTENDED = 8  # extended headers of one member; GNU tar and pax write two at most
MAX_EXTENDED_BYTES = 64 << 10
MAX_NAME = 1024
REGULAR, FOLDER, SPARSE = b"0\x007", b"5", b"S"
PAX, GLOBAL, LONG_NAME, LONG_LINK = b"xX", b"g", b"L", b"K"
WITHOUT_CONTENT = {b"1": "links", b"2": "links", b"3": "devices", b"4": "devices", b"6": "pipes", b"5": "folders"}
SUFFIX = re.compile(r"\.[^./\\]+$")
Reader = Callable[[int, int], bytes]
"""Bytes at an offset, at most so many of them"""


class Cut(Exception):
    """The tar cannot be read beyond the byte `at`, for `reason` (a clause)."""

    def __init__(self, at: int, reason: str):
        super().__init__(at, reason)
        self.at, self.reason = at, reason


class Member(NamedTuple):
    """One member: `start` of its first header, `data` (offset) and `size` of its content, `end` with the padding.

    `fault` names why it is not read (a plural, to count by) or is None.
    """

    name: str
    start: int
    data: int
    size: int
    end: int
    fault: str | None = None

    @property
    def suffix(self) -> str:
        """`.jpg` of `a/b.c.JPG`, in lower case; empty where there is none."""
        found = SUFFIX.search(self.name)
        return found.group().lower() if found else ""

    @property
    def stem(self) -> str:
        """The name without suffix and without a leading `./`; the parts of a sample share it."""
        return SUFFIX.sub("", self.name).removeprefix("./")


def members(read: Reader, size: int) -> Iterator[Member]:
    """Yield the Members of a tar of `size` bytes, `read(offset, count)` -> bytes; Cut where it is damaged or ends.

    Ends at the first block of zeros. A tar that ends without one raises Cut behind its last whole member.
    """
    at = 0
    while member := member_at(read, at, size):
        yield member
        at = member.end


def member_at(read: Reader, start: int, size: int) -> Member | None:
    """The Member whose headers begin at `start`, or None for the end marker; raises Cut."""
    at, fault, names, declared = start, None, {}, None
    for extended in range(size // BLOCK + 2):
        block = read(at, BLOCK)
        if at > start and block == ZEROS:
            raise Cut(start, "an extended header is followed by nothing")
        if block == ZEROS:
            return None
        if len(block) < BLOCK:
            raise Cut(start, "it ends there without an end marker")
        if not is_header(block):
            raise Cut(start, "the header there is damaged")
        kind, length = block[156:157], number(block[124:136])
        if length is None:
            raise Cut(start, "the header there declares no size")
        at += BLOCK
        if kind not in PAX + GLOBAL + LONG_NAME + LONG_LINK:
            break
        if at + length > size:
            raise Cut(start, f"an extended header declares {length:,} bytes, and {size - at:,} are left")
        if extended >= MAX_EXTENDED or length > MAX_EXTENDED_BYTES:
            fault = "members with oversized headers"
        else:
            record = read(at, length)
            if kind == LONG_NAME:
                names["long"] = record.partition(b"\0")[0]
            elif kind in PAX + GLOBAL:
                found = pax_records(record)
                if found is None:
                    fault = "members with malformed headers"
                    found = {}
                if kind == GLOBAL and found.keys() & {b"path", b"size"}:
                    raise Cut(start, "a global header there gives all members one name or size")
                names.update({key: found[key] for key in (b"path",) if key in found})
                if b"size" in found:
                    declared = found[b"size"]
                if any(key.startswith(b"GNU.sparse") for key in found):
                    fault = "sparse members"
        at += padded(length)
    if declared is not None:
        if not re.fullmatch(rb"[0-9]{1,18}", declared):
            raise Cut(start, "an extended header there declares no size")
        length = int(declared)
    name = names.get(b"path", names.get("long", None))
    return build(read, block, kind, start, at, length, size, header_name(block) if name is None else name, fault)


def is_header(block: bytes) -> bool:
    """Whether the checksum in a block of 512 bytes is that of a header."""
    return sum(block) - sum(block[148:156]) + 8 * 32 == number(block[148:156])


def build(
    read: Reader,
    block: bytes,
    kind: bytes,
    start: int,
    at: int,
    length: int,
    size: int,
    raw_name: bytes,
    fault: str | None,
) -> Member:
    """The Member of a header `block` whose content begins at `at`; raises Cut where the content is not all there."""
    name = decode_name(raw_name)
    if kind == SPARSE:
        fault, more = "sparse members", block[482]
        while more:
            extension = read(at, BLOCK)
            if len(extension) < BLOCK:
                raise Cut(start, "it ends there in the middle of a header")
            at, more = at + BLOCK, extension[504]
    if kind in WITHOUT_CONTENT or (kind == b"\0" and name.endswith("/")):
        fault, length = WITHOUT_CONTENT.get(kind, "folders"), 0
    elif kind not in REGULAR + SPARSE:
        fault = fault or "members of an unknown kind"
    if at + length > size:
        raise Cut(start, f"{shown(name)} declares {length:,} bytes, and {max(size - at, 0):,} are left")
    return Member(name, start, at, length, at + padded(length), fault or name_fault(name, raw_name))


def name_fault(name: str, raw: bytes) -> str | None:
    """Why a member's name is refused, or None: it must stay inside any folder, on any system. raw: its bytes,
    which tell a backslash from an escape."""
    if "\\" in name:
        name = raw.decode("latin-1")
    if not name or len(name) > MAX_NAME or "\0" in name:
        return "members without a usable name"
    drive = name[1:2] == ":" and name[0].isascii()
    if name[0] in "/\\" or drive or (".." in name and ".." in re.split(r"[/\\]", name)):
        return "names that lead out of the folder"
    return None


def header_name(block: bytes) -> bytes:
    """The name in a header: the field itself, behind the prefix of ustar where there is one."""
    name, prefix = block[:100].partition(b"\0")[0], block[345:500].partition(b"\0")[0]
    return prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name


def number(field: bytes) -> int | None:
    """A numeric field, octal or base 256, or None where it is neither or is negative."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.partition(b"\0")[0].strip() or b"0"
    try:
        return int(text, 8) if text.isdigit() else None
    except ValueError:
        return None


def pax_records(data: bytes) -> dict[bytes, bytes] | None:
    """{key: value} of pax records `length key=value`, or None when they are malformed."""
    records, at = {}, 0
    while at < len(data) and data[at : at + 1] != b"\0":
        match = re.compile(rb"([0-9]{1,6}) ").match(data, at)
        end = at + int(match[1]) if match else 0
        key, equals, value = data[match.end() : end].partition(b"=") if match else (b"", b"", b"")
        if not equals or end > len(data) or value[-1:] != b"\n":
            return None
        records[key], at = value[:-1], end
    return records


def padded(length: int) -> int:
    """`length` rounded up to whole blocks."""
    return -(-length // BLOCK) * BLOCK


def shown(name: str, limit: int = 80) -> str:
    """A member's name for a message: what a terminal would act on is written as an escape."""
    text = "".join(letter if letter.isprintable() else ascii(letter)[1:-1] for letter in name)
    return text if len(text) <= limit else text[: limit - 3] + "..."

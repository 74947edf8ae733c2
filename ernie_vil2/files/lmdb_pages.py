"""The pages of an lmdb file, walked before liblmdb maps them: what it follows out of the file ends the process.

Layout: `lmdb.h` and `mdb.c` of LMDB 0.9 (OpenLDAP), little endian with page numbers of 64 bits. Read are both meta
pages, and every branch and leaf page of the main database, once; of long values only the place and the length. So the
cost is that of listing the keys.
"""

import os
import struct
from typing import NamedTuple

import numpy as np

from .text import ContentError

NAME = "data.mdb"
HEAD, NODE = 16, 8
"""Bytes before the contents of a page, and before the key of a node"""
MAGIC, VERSION = 0xBEEFC0DE, 1
BRANCH, LEAF, META = 0x01, 0x02, 0x08
LONG = 0x01
"""Flag of a node whose value lies in pages of its own"""
NONE = 2**64 - 1
MOST_LEVELS = 32
PAGE_SIZES = {1 << power for power in range(9, 17)}
DATABASE = struct.Struct("<IHHQQQQQ")
COPY = "copy it again, or write it again"


class Tree(NamedTuple):
    """The main database of an environment: number of its root page, levels, and how many keys it says it has."""

    root: int
    levels: int
    entries: int
    flags: int


class Damage(Exception):
    """Why a file cannot be walked, as a clause, and what can be done."""

    def __init__(self, reason: str, fix: str = COPY):
        super().__init__(reason, fix)
        self.reason, self.fix = reason, fix


BEING_WRITTEN = Damage("another program is writing to it", "wait until it has ended")


def check_lmdb(path: str | os.PathLike) -> None:
    """ContentError unless everything that a reader of an lmdb file follows lies in the file; OSError where it cannot
    be read."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)  # a pipe would wait for a writer
    walk = None
    try:
        walk = Walk(descriptor)
        walk.run()
    except Damage as damage:
        found = BEING_WRITTEN if walk is not None and walk.is_written() else damage
        raise ContentError(path, found.reason, found.fix) from None
    finally:
        os.close(descriptor)


class Walk:
    """One walk over the pages of a file that is open."""

    def __init__(self, descriptor: int):
        self.descriptor, self.bytes = descriptor, os.fstat(descriptor).st_size
        self.size, self.tree, last, self.transaction = self._newest_meta()
        self.bytes = os.fstat(descriptor).st_size  # a writer makes the file longer before it says so
        self.pages = min(self.bytes // self.size, last + 1)

    def run(self) -> None:
        """Walk over all pages, level by level; raises Damage."""
        root, levels, entries, flags = self.tree
        if flags:
            raise Damage(f"its keys have an order or values (flags {flags}) that are not read here", "write it again")
        if root == NONE:
            if entries:
                raise Damage(f"it says that it has {entries:,} keys, and has no page for them")
            return
        if not 1 <= levels <= MOST_LEVELS:
            raise Damage(f"it says that it has {levels:,} levels of pages")
        level, seen, found = [root], {root}, 0
        for depth in range(levels):
            below, leaves = [], depth == levels - 1
            for number in level:
                count, children = self._page(number, leaves)
                found += count if leaves else 0
                below.extend(children)
            if len(set(below)) < len(below) or not seen.isdisjoint(below):
                raise Damage("it names a page twice")
            seen.update(below)
            level = below
        if found != entries:
            raise Damage(f"it says that it has {entries:,} keys, and {found:,} are in its pages")

    def is_written(self) -> bool:
        """Whether another transaction counts by now: pages of the one that is walked may be used anew."""
        try:
            return self._newest_meta()[3] != self.transaction
        except Damage:
            return False

    def _newest_meta(self):
        """(bytes of a page, Tree, number of the last page, transaction) of the meta page that counts; raises Damage."""
        if not self.bytes:
            raise Damage("the file is empty")
        first = self._meta(0)
        second = self._meta(first[0])
        if second[0] != first[0]:
            raise Damage("its two meta pages name different sizes of pages")
        return max(first, second, key=lambda meta: meta[3])  # of equal ones the first, as liblmdb does

    def _meta(self, offset):
        """(bytes of a page, Tree, number of the last page, transaction) of a meta page."""
        raw = os.pread(self.descriptor, 152, offset)
        if len(raw) < 152:
            raise Damage(f"the file ends after {self.bytes:,} bytes, within its first pages")
        magic, version = struct.unpack_from("<II", raw, 16)
        if raw[16:20] == struct.pack(">I", MAGIC) or raw[12:16] in (struct.pack(">I", MAGIC), struct.pack("<I", MAGIC)):
            raise Damage("the file is of a machine of another kind", "write it on one of this kind")
        if magic != MAGIC or not struct.unpack_from("<H", raw, 10)[0] & META:
            raise Damage("it does not begin as an lmdb does")
        if version != VERSION:
            raise Damage(f"the file has version {version:,} of lmdb's layout, and {VERSION} is read here")
        size = struct.unpack_from("<I", raw, 40)[0]
        _, flags, levels, _, _, _, entries, root = DATABASE.unpack_from(raw, 88)
        last, transaction = struct.unpack_from("<QQ", raw, 136)
        if size not in PAGE_SIZES:
            raise Damage(f"it says that a page has {size:,} bytes")
        return size, Tree(root, levels, entries, flags), last, transaction

    def _page(self, number, is_leaf):
        """(nodes of a page, numbers of the pages that they name); raises Damage."""
        if not 2 <= number < self.pages:
            raise Damage(f"it needs page {number:,}, and {self.pages:,} pages are there")
        raw = os.pread(self.descriptor, self.size, number * self.size)
        if len(raw) < self.size:
            raise Damage(f"it needs page {number:,}, which is cut")
        own, _, flags, lower, upper = struct.unpack_from("<QHHHH", raw)
        wrong = Damage(f"page {number:,} is damaged")
        if (
            own != number
            or flags != (LEAF if is_leaf else BRANCH)
            or not HEAD < lower <= upper <= self.size
            or lower % 2
        ):
            raise wrong
        starts = np.frombuffer(raw, "<u2", (lower - HEAD) // 2, HEAD).astype(np.int64)
        if len(starts) < (1 if is_leaf else 2) or starts.min() < upper or (starts % 2).any():
            raise wrong
        if starts.max() + NODE > self.size:
            raise wrong
        words = np.frombuffer(raw, "<u2").astype(np.int64)
        low, high, kinds, keys = (words[starts // 2 + place] for place in range(4))
        contents = starts + NODE + keys
        if not is_leaf:
            if contents.max() > self.size:
                raise wrong
            return len(starts), (low | high << 16 | kinds << 32).tolist()
        lengths, long = low | high << 16, kinds == LONG
        if (kinds[~long] != 0).any() or (contents + np.where(long, 8, lengths)).max() > self.size:
            raise wrong
        at = contents[long][:, None] + np.arange(8)
        places = np.frombuffer(raw, np.uint8)[at].astype(np.uint8).view("<u8").ravel()
        ends = places.astype(np.float64) * self.size + HEAD + lengths[long]
        if len(places) and (places.min() < 2 or places.max() >= self.pages or ends.max() > self.bytes):
            raise Damage(f"a value that page {number:,} names lies beyond the end of the file")
        return len(starts), ()

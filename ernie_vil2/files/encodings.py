"""Which encoding a text file has: UTF-8, else the GB family of Chinese Windows where that is sure, or UTF-16.

Bytes decide by pieces, the runs between commas, quotes, tabs and line ends: Chinese in UTF-8 is hardly ever Chinese in
GBK that anybody writes, nor the other way round, so that a broken row in a file of another encoding decides nothing.
"""

import codecs
import re
import unicodedata

from ..errors import ConfigError, nearest

UTF8, GB = "utf-8", "gb18030"
CODECS = {
    "utf-8": UTF8,
    "utf-8-sig": UTF8,
    "ascii": UTF8,
    "gb2312": GB,
    "gbk": GB,
    "gb18030": GB,
    "big5": "big5hkscs",
    "big5hkscs": "big5hkscs",
    "cp950": "big5hkscs",
    "utf-16": "utf-16-le",
    "utf-16-le": "utf-16-le",
    "utf-16-be": "utf-16-be",
}
"""{Python's name of an encoding: the codec that reads it}; in all of them but UTF-16, commas and quotes are bytes"""
NAMES = {UTF8: "UTF-8", GB: "GBK (GB18030)", "big5hkscs": "Big5", "utf-16-le": "UTF-16", "utf-16-be": "UTF-16"}
HIGH = re.compile(rb"[\x80-\xff]")
RUN = re.compile("[\x80-\u07ff]+")
PARTS = re.compile(rb'[\t\r\n,"]')
SAMPLE, FEW = 2000, 200
"""Pieces that are looked at, and of those that say the same"""
HEAD = 256
"""Bytes of a piece that are looked at"""
BLOCK_BYTES = 64 << 10


def codec_of(name: str) -> str:
    """The codec for an encoding as people name it, "" for none; ConfigError for one that is not read."""
    if not name:
        return ""
    try:
        known = CODECS.get(codecs.lookup(name).name)
    except (LookupError, ValueError):
        known = None
    if known is None:
        close = nearest(name.lower(), CODECS)
        hint = f"did you mean {close!r}?" if close else "known are utf-8, gbk, big5 and utf-16"
        raise ConfigError(f"encoding: {name!r} is not read; {hint}")
    return known


class Evidence:
    """What the pieces of a file speak for; `gb` of them are GB18030, `unsure` could be Latin letters too."""

    def __init__(self) -> None:
        self.counts = {UTF8: 0, GB: 0, "neither": 0, "unsure": 0}
        self.characters = self.lines = 0

    @property
    def full(self) -> bool:
        """Whether enough was seen: many pieces, or some that all speak for one."""
        return (
            (seen := sum(self.counts.values())) >= SAMPLE
            or seen >= FEW
            and max(self.counts[UTF8], self.counts[GB]) == seen
        )

    def see(self, chunk: bytes | memoryview, begins: bool = True, ends: bool = True) -> None:
        """Look at some bytes; what a cut has parted is left out where they do not begin or end the file."""
        for start in range(0, len(chunk), BLOCK_BYTES):
            if self.full:
                return
            block = bytes(chunk[start : start + BLOCK_BYTES])
            self.lines += block.count(b"\n") or block.count(b"\r")
            if not block.isascii():
                pieces = PARTS.split(block)
                whole = ends and start + BLOCK_BYTES >= len(chunk)
                self._count(pieces[0 if begins and not start else 1 : len(pieces) if whole else -1])

    def _count(self, pieces):
        for piece in pieces:
            if not piece.isascii():
                kind, characters = kind_of(piece)
                self.counts[kind] += 1
                self.characters += characters

    @property
    def codec(self) -> str:
        """UTF8, or GB where that is sure: most pieces are, they are no rarity, and more than a character in all."""
        gb, others = self.counts[GB], self.counts[UTF8] + self.counts["neither"]
        usual = gb >= 5 or 10 * gb >= self.lines
        return GB if gb > 2 * others and 2 * gb >= self.counts["unsure"] and self.characters > 1 and usual else UTF8


def codec_of_bytes(raw: bytes) -> str:
    """UTF8, or GB where all of a file's bytes are surely that."""
    evidence = Evidence()
    evidence.see(memoryview(raw))
    return evidence.codec


def can_be_gb(raw: bytes) -> bool:
    """Whether the bytes of a short text may be GB18030, whatever else they may be; not where all are ASCII."""
    pieces = [piece for piece in PARTS.split(raw[: 2 * HEAD]) if not piece.isascii()]
    return bool(pieces) and all(kind_of(piece)[0] in (GB, "unsure") for piece in pieces)


def kind_of(piece: bytes) -> tuple[str, int]:
    """(what a piece that is not ASCII speaks for, the number of characters that GB18030 makes of it)."""
    piece = piece[HIGH.search(piece).start() :]
    text = head_of(piece, UTF8)
    if text is not None and max(text) > "\u07ff":
        return UTF8, 0
    chinese = head_of(piece, GB)
    wide = [character for character in chinese or "" if character > "\x7f"]
    usual = sum(map(is_usual, wide)) >= 0.6 * max(len(wide), 1)
    if text is None:
        return ("neither" if chinese is None else GB if usual else "unsure"), len(wide)
    return (UTF8 if not usual else GB if is_mixture(text) else "unsure"), len(wide)


def head_of(piece: bytes, codec: str) -> str | None:
    """The text in the beginning of a piece, or None where that is none."""
    try:
        return codecs.getincrementaldecoder(codec)().decode(piece[:HEAD], len(piece) <= HEAD)
    except UnicodeDecodeError:
        return None


def is_usual(character: str) -> bool:
    """Whether a character is a sign of punctuation or one of the 3,755 usual Chinese ones, by its row in GB 2312."""
    row = character.encode("gb2312", "ignore")[:1]
    return b"\xa1" <= row <= b"\xa3" or b"\xb0" <= row <= b"\xd7"


def is_mixture(text: str) -> bool:
    """Whether scripts stand in one word that nobody writes so, as in `һֻè` and `Сè`, which 一只猫 and 小猫 in GBK are in
    UTF-8: three of them, or two other than those of phonetic signs."""
    words = (set(map(script, word)) - {""} for word in RUN.findall(text))
    return any(len(word) > 2 or len(word - {"MODIFIER"}) == 2 and not word >= {"LATIN", "GREEK"} for word in words)


def script(character: str) -> str:
    """The script of a letter by its name; "" for other characters and for accents, which go with any."""
    if unicodedata.category(character)[0] not in "LM":
        return ""
    name = unicodedata.name(character, "").partition(" ")[0]
    return "LATIN" if character < "\u0250" else name if name != "COMBINING" else ""


def wide_codec(head: bytes) -> str | None:
    """The codec of UTF-16 by its mark or the zero bytes of its ASCII in the beginning of a file; None for others."""
    if head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16-le" if head.startswith(codecs.BOM_UTF16_LE) else "utf-16-be"
    if len(head) < 8:
        return None
    first, second = (head[place::2].count(0) / (len(head) // 2) for place in (0, 1))
    if max(first, second) < 0.25 or min(first, second) > max(first, second) / 4:  # 一 has a zero byte too
        return None
    return "utf-16-le" if second > first else "utf-16-be"

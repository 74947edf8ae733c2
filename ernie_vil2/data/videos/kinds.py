"""What is a video file: by its first bytes, since its name alone could lead FFmpeg to a playlist or a list of files.

The formats are those whose packets say when a frame is shown and that hold all of their pictures themselves. Playlists
(HLS, DASH, concat, SDP) name other files or addresses, so they are not among them.
"""

import os
import re
import stat
from typing import BinaryIO

from ...errors import DataError, advice, exhausted
from ...files.stand_ins import stand_in

SUFFIXES = tuple(".mp4 .m4v .mov .qt .3gp .3g2 .mkv .webm .avi .ts .m2ts .mts .flv .wmv .asf .ogv".split())
"""Of files that are videos by their name"""
HEAD = 1024
PACKET = 188
"""Bytes of a packet of MPEG-TS; in .m2ts 4 more stand before each"""
SIGNATURES = (
    ("mov", rb".{4}(ftyp|moov|mdat|wide|free|skip|pnot)"),
    ("matroska", rb"\x1a\x45\xdf\xa3"),
    ("avi", rb"RIFF.{4}AVI[ X]"),
    ("flv", rb"FLV\x01"),
    ("asf", rb"\x30\x26\xb2\x75\x8e\x66\xcf\x11"),
    ("ogg", rb"OggS\0"),
    ("mpegts", rb"\x47.{%d}\x47.{%d}\x47" % (PACKET - 1, PACKET - 1)),
    ("mpegts", rb".{4}\x47.{%d}\x47.{%d}\x47" % (PACKET + 3, PACKET + 3)),
)
"""(name of FFmpeg's reader, how such a file begins)"""
COMPILED = [(kind, re.compile(signature, re.DOTALL)) for kind, signature in SIGNATURES]
FORMATS = tuple(dict.fromkeys(kind for kind, _ in SIGNATURES))
PICTURES = re.compile(rb".{4}ftyp(avi[fs]|mi[af]1|msf1|he[iv][cxms])", re.DOTALL)
"""AVIF and HEIC, whose files are of the family of MP4"""


def kind_of(head: bytes) -> str | None:
    """The name of FFmpeg's reader for a file that begins so, None for what is no video."""
    if PICTURES.match(head):
        return None
    return next((kind for kind, signature in COMPILED if signature.match(head)), None)


def is_video_name(name: str) -> bool:
    """Whether a file is a video by the suffix of its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def open_video(path: str | os.PathLike) -> BinaryIO:
    """A regular file that begins as a video does, open for bytes; DataError for all else.

    A pipe or a device is not waited for.
    """
    where = os.fsdecode(path)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        if exhausted(error):
            raise
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{where}: cannot be read ({reason}); {advice(error, 'correct the path')}") from None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise DataError(f"{where}: is no regular file; give a video file")
        refuse_others(os.pread(descriptor, HEAD, 0), where)
    except BaseException:
        os.close(descriptor)
        raise
    return os.fdopen(descriptor, "rb", buffering=0)


def refuse_others(head: bytes, where: str) -> None:
    """DataError for a file that does not begin as a video does."""
    if not head:
        raise DataError(f"{where}: is empty; copy the video again")
    if found := stand_in(head):
        raise DataError(f"{where}: {found}")
    if kind_of(head) is None:
        raise DataError(
            f"{where}: does not begin as a video does (MP4, MOV, MKV, WebM, AVI, MPEG-TS, FLV, WMV, OGV); convert it "
            "to MP4, or fetch it again"
        )

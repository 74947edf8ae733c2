"""What is a picture: by its name, or by the first bytes of its content."""

import os
import re

SUFFIXES = tuple(
    ".jpg .jpeg .jpe .jfif .png .apng .webp .bmp .dib .gif .tif .tiff .avif .jp2 .j2k .j2c .jpf .jpx .ppm .pgm .pbm "
    ".pnm .pam .pfm .hdr .ras .tga .pcx .heic .heif".split()
)
"""Of files that are pictures by their name. HEIC is among them, so that it is said of each that it is not decoded."""
SUFFIX_OF = {
    "JPEG": ".jpg",
    "PNG": ".png",
    "BMP": ".bmp",
    "GIF": ".gif",
    "TIFF": ".tiff",
    "WEBP": ".webp",
    "AVIF": ".avif",
    "JPEG2000": ".jp2",
}
"""The suffix that is given to a picture of a kind"""
HEAD = 64
SIGNATURES = (
    ("JPEG", rb"\xff\xd8\xff"),
    ("PNG", rb"\x89PNG\r\n\x1a\n.{4}IHDR"),
    ("GIF", rb"GIF8[79]a"),
    ("BMP", rb"BM.{12}[\x0c-\x80]\0\0\0"),
    ("WEBP", rb"RIFF.{4}WEBPVP8[ LX]"),
    ("TIFF", rb"II[*+]\0|MM\0[*+]"),
    ("PPM", rb"P[1-6Ff]\s+[#\d]"),
    ("PAM", rb"P7\s"),
    ("SUN", rb"\x59\xa6\x6a\x95"),
    ("HDR", rb"#\?R"),
    ("JPEG2000", rb"\0\0\0\x0cjP  \r\n\x87\n|\xff\x4f\xff\x51"),
    ("AVIF", rb".{4}ftyp(avi[fs]|mi[af][1f]|msf1)"),
    ("HEIC", rb".{4}ftyphe[iv][cxms]"),
    ("ICO", rb"\0\0\x01\0[^\0]\0..[\0-\xff]\0"),
)
COMPILED = [(kind, re.compile(signature, re.DOTALL)) for kind, signature in SIGNATURES]


def kind_of(data: bytes) -> str | None:
    """The name of the kind of picture whose signature a file begins with, None for another one."""
    return next((kind for kind, signature in COMPILED if signature.match(data)), None)


def is_picture_name(name: str) -> bool:
    """Whether a file is a picture by the suffix of its name."""
    return os.path.splitext(name)[1].lower() in SUFFIXES


def is_picture_file(path: str | os.PathLike) -> bool:
    """Whether a file is a picture by its name or, where that has no suffix, by its first bytes."""
    suffix = os.path.splitext(os.fspath(path))[1]
    return suffix.lower() in SUFFIXES or not suffix and has_picture_head(path)


def has_picture_head(path: str | os.PathLike) -> bool:
    """Whether a regular file begins as a picture does; one that cannot be read does not."""
    try:
        if not os.path.isfile(path):
            return False
        with open(path, "rb") as file:
            return kind_of(file.read(HEAD)) is not None
    except OSError:
        return False

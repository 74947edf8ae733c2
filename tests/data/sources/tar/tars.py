"""Tars for tests, written by the standard library, and what reading them must give."""

import io
import tarfile

FORMATS = {"ustar": tarfile.USTAR_FORMAT, "gnu": tarfile.GNU_FORMAT, "pax": tarfile.PAX_FORMAT}


def info(name, size=0, **fields):
    """A TarInfo with other fields set."""
    about = tarfile.TarInfo(name)
    about.size = size
    for key, value in fields.items():
        setattr(about, key, value)
    return about


def write_tar(path, members, format="gnu", mode="w"):
    """A tar of (name or TarInfo, bytes) by the standard library."""
    with tarfile.open(path, mode, format=FORMATS[format]) as tar:
        for name, content in members:
            about = info(name) if isinstance(name, str) else name
            about.size = about.size or len(content)
            tar.addfile(about, io.BytesIO(content))
    return path


def pairs(count, start=0):
    """Members of `count` samples."""
    for row in range(start, start + count):
        yield f"{row:05d}.jpg", b"image %d " % row * 50
        yield f"{row:05d}.txt", f"第{row}张".encode()


def contents(source):
    return [(sample.image, sample.texts) for sample in source]


def wanted(rows):
    return [(b"image %d " % row * 50, (f"第{row}张",)) for row in rows]


def notes(source):
    return "\n".join(source.notes)

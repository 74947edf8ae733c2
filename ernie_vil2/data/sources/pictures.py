"""Whose picture an image id is: the first of its rows that can be used decides, and a row with another one is bad."""

import hashlib
import io
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, NamedTuple

import numpy as np

from ...errors import ImageError, advice, exhausted
from ...files.paths.names import escaped_name
from .base import RowError, Sample
from .rows.texts import shorten

CLASH = "id clash"
PROBED = 2048
"""Bytes of each part of an image that `probe` reads"""


class Picture(NamedTuple):
    """The picture of an id: the row that showed it first, its path ("" for bytes), a digest of its content."""

    row: int
    path: str
    digest: str

    def shown_by(self, sample: Sample) -> bool:
        """Whether a sample has this picture: the same path, or else the same bytes, so that copies are the same."""
        return self.path != "" and self.path == name_of(sample) or self.digest == content_digest(sample)


def path_of(sample: Sample) -> str:
    """The path of a sample's image, or "" where the row holds the image itself."""
    return os.fspath(sample.image) if isinstance(sample.image, (str, os.PathLike)) else ""


def name_of(sample: Sample) -> str:
    """`path_of` as text that a database takes, whatever the bytes of the name are."""
    return escaped_name(path_of(sample))


def content_digest(sample: Sample) -> str:
    """A digest of an image's bytes or pixels; ImageError for a file that cannot be read."""
    with opened(sample) as handle:
        return hashlib.blake2b(handle.read(), digest_size=16).hexdigest()


def probe(sample: Sample) -> str:
    """A digest of an image's size and of three parts of it: next to decoding it costs nothing, and it tells pictures
    apart but for those that somebody made to defeat it."""
    with opened(sample) as handle:
        size = handle.seek(0, os.SEEK_END)
        digest = hashlib.blake2b(str(size).encode(), digest_size=16)
        for part in range(3):
            handle.seek(max(size - PROBED, 0) * part // 2)
            digest.update(handle.read(PROBED))
        return digest.hexdigest()


@contextmanager
def opened(sample: Sample) -> Iterator[BinaryIO]:
    """An image's bytes, or its shape and pixels, as a file; ImageError where it cannot be read."""
    content = sample.image
    if isinstance(content, np.ndarray):
        content = str(content.shape).encode() + np.ascontiguousarray(content).tobytes()
    try:
        with open(content, "rb", buffering=0) if path_of(sample) else io.BytesIO(content) as handle:
            yield handle
    except OSError as error:
        if exhausted(error):
            raise
        raise ImageError(
            f"{path_of(sample)}: cannot be read ({error.strerror or error}); "
            f"{advice(error, 'put the file back, or delete the row')}"
        ) from None


def picture_of(sample: Sample, row: int) -> Picture:
    """The Picture that a sample at a row gives to its id."""
    return Picture(row, name_of(sample), content_digest(sample))


def clash(where: str, key: str, first: str) -> RowError:
    """The error of the row at `where`, whose id has another picture at the row `first`."""
    return RowError(
        where,
        CLASH,
        f"the id {shorten(key)} has another picture at {first}",
        "give each picture an id of its own, or delete one of the two rows",
    )

"""Whose picture an image id is: the first of its rows that can be used decides, and a row with another one is bad."""

import hashlib
import os
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ...errors import ImageError
from .base import RowError, Sample
from .fields import shorten

CLASH = "id clash"


class Picture(NamedTuple):
    """The picture of an id: the row that showed it first, its path ("" for bytes), a digest of its content."""

    row: int
    path: str
    digest: str

    def shown_by(self, sample: Sample) -> bool:
        """Whether a sample has this picture: the same path, or else the same bytes, so that copies are the same."""
        return self.path != "" and self.path == path_of(sample) or self.digest == content_digest(sample)


def path_of(sample: Sample) -> str:
    """The path of a sample's image, or "" where the row holds the image itself."""
    return os.fspath(sample.image) if isinstance(sample.image, (str, os.PathLike)) else ""


def content_digest(sample: Sample) -> str:
    """A digest of an image's bytes or pixels; ImageError for a file that cannot be read."""
    content = sample.image
    if isinstance(content, np.ndarray):
        content = str(content.shape).encode() + np.ascontiguousarray(content).tobytes()
    elif path_of(sample):
        try:
            content = Path(content).read_bytes()
        except OSError as error:
            raise ImageError(
                f"{path_of(sample)}: cannot be read ({error.strerror}); put the file back, or delete the row"
            ) from None
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def picture_of(sample: Sample, row: int) -> Picture:
    """The Picture that a sample at a row gives to its id."""
    return Picture(row, path_of(sample), content_digest(sample))


def clash(where: str, key: str, first: str) -> RowError:
    """The error of the row at `where`, whose id has another picture at the row `first`."""
    return RowError(
        where,
        CLASH,
        f"the id {shorten(key)} has another picture at {first}",
        "give each picture an id of its own, or delete one of the two rows",
    )

"""Whether a row can be used: one rule, and one name of each cause, for checks, shards, encoding and training."""

from typing import SupportsIndex

from ...config.model import PixelProfile
from ...errors import DataError
from ..images.decode import decode_for
from ..images.limits import DEFAULT_LIMITS, Limits
from ..images.resize import OFFICIAL, resized_within
from .base import RowError, Sample, Source

LEAST_BAD = 10


def read_row(source: Source, index: SupportsIndex) -> Sample:
    """The sample of a row whose fields are right, but for its picture; RowError that names the place and the cause."""
    try:
        sample = source[index]
    except DataError as error:
        raise row_error(source.where(index), error) from None
    if sample.id.splitlines() != [sample.id] or any("\ud800" <= character <= "\udfff" for character in sample.id):
        raise RowError(
            sample.where,
            "bad id",
            f"the image id {sample.id!r} cannot be one line of a text file",
            "give the image an id without line breaks",
        )
    return sample


def picture_sides(sample: Sample, profile: PixelProfile = OFFICIAL, limits: Limits = DEFAULT_LIMITS) -> tuple[int, int]:
    """(height, width) of the picture of a sample; RowError where it cannot be decoded, or not be resized.

    All of the file is read, but a JPEG comes at an eighth, which takes half the time.
    """
    try:
        _, sides = decode_for(sample.image, 1, profile, limits)
        resized_within(sides, profile.resized, profile, limits)
    except DataError as error:
        raise row_error(sample.where, error) from None
    return sides


def row_error(where: str, error: DataError) -> RowError:
    """The error of a row, of an error that need not say where."""
    if isinstance(error, RowError):
        return error
    reason, _, fix = str(error).removeprefix(f"{where}: ").rpartition("; ")
    cause = getattr(error, "cause", "unreadable row")
    return RowError(where, cause, reason or fix, fix if reason else "correct the row or delete it")


def too_many_bad(bad: float, seen: int, most: float) -> bool:
    """Whether the share of bad rows is over `most`, of `seen` different rows; under LEAST_BAD of them say nothing."""
    return bad >= LEAST_BAD and bad > most * seen

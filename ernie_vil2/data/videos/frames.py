"""Frames of a video file that stand for all of it: every so many seconds, or so many of them evenly."""

import math
import os
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from ...errors import ConfigError
from ...messages import quoted
from ..images.limits import DEFAULT_LIMITS, Limits
from .reader import VideoReader
from .times import frame_times, times_evenly, times_every

SECONDS = (0.001, 1e6)
"""The least and the most of seconds from frame to frame"""
MOST = 100_000
"""Frames of one video that can be asked for evenly"""


class Frame(NamedTuple):
    """A frame of a video. time: seconds from the first one; pixels: RGB uint8 [H, W, 3]."""

    time: float
    pixels: np.ndarray


def frames_every(path: str | os.PathLike, seconds: float, limits: Limits = DEFAULT_LIMITS) -> Iterator[Frame]:
    """Yield the Frames of a video file that are seen at 0, `seconds`, 2 `seconds`, ..., one in memory at a time.

    Times are those of the packets, so a varying rate and a wrong header change nothing; rotation is applied. Raises
    DataError for a file that is no video, is cut short, or has a frame that cannot be decoded; ConfigError for seconds
    out of SECONDS.
    """
    return frames_at(path, *chosen(path, checked_seconds(seconds), limits), limits)


def frames_evenly(path: str | os.PathLike, count: int, limits: Limits = DEFAULT_LIMITS) -> Iterator[Frame]:
    """Yield `count` Frames of a video file, each from the middle of as many equal parts; fewer where it has fewer.

    Raises as `frames_every` does, and ConfigError for a count that is none.
    """
    return frames_at(path, *chosen(path, checked_count(count), limits), limits)


def chosen(
    path: str | os.PathLike, wanted: int | float, limits: Limits = DEFAULT_LIMITS
) -> tuple[np.ndarray, tuple[int, int]]:
    """(int64 [m], stamp): times in milliseconds of the frames that are wanted of a video: an int is how many of them
    evenly, a float the seconds from one to the next."""
    times, stamp = frame_times(path, limits)
    return (times_evenly if isinstance(wanted, int) else times_every)(times, wanted), stamp


def frames_at(
    path: str | os.PathLike, times: np.ndarray, stamp: tuple[int, int], limits: Limits = DEFAULT_LIMITS
) -> Iterator[Frame]:
    """Yield the Frames of a video file at ascending times in milliseconds."""
    reader = VideoReader(path, stamp, limits)
    try:
        for time in times.tolist():
            yield Frame(time / 1000, reader.frame(time))
    finally:
        reader.close()


def checked_seconds(seconds: float) -> float:
    """Seconds from frame to frame as a float; ConfigError outside of SECONDS."""
    usable = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and math.isfinite(seconds)
    if not usable or not SECONDS[0] <= seconds <= SECONDS[1]:
        raise ConfigError(
            f"frames every {quoted(seconds)} s are asked for; give seconds from {SECONDS[0]} to {SECONDS[1]:,.0f}"
        )
    return float(seconds)


def checked_count(count: int) -> int:
    """A number of frames; ConfigError for what is none."""
    if type(count) is not int or not 1 <= count <= MOST:
        raise ConfigError(f"{quoted(count)} frames are asked for; give a whole number from 1 to {MOST:,}")
    return count

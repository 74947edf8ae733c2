"""When the frames of a video are shown, from its packets; and which of them stand for all.

A count, a rate or a duration in a header is often wrong, and the rate of many videos varies. So the packets of the
whole file are walked through once, without decoding any: each says when its frame is shown.
"""

import os

import numpy as np

from ...errors import DataError
from ..images.libraries import opencv
from ..images.limits import DEFAULT_LIMITS, Limits
from .capture import LONGEST, Stamp, opened, shown_at

MOST_FRAMES = 20_000_000
"""Of a video: nine days of 25 frames a second"""
LEAST_SHARE = 0.9
"""Of the frames that a file declares, those that must be there: with fewer it was cut"""


def frame_times(path: str | os.PathLike, limits: Limits = DEFAULT_LIMITS) -> tuple[np.ndarray, Stamp]:
    """(int64 [n], stamp): the times in milliseconds, ascending and distinct, at which frames of a video are shown.

    The first frame's start is 0. Raises DataError for a file that is no video, that holds less than LEAST_SHARE of the
    frames that it declares, or more than MOST_FRAMES.
    """
    cv2, where = opencv(), os.fsdecode(path)
    capture, stamp = opened(path, packets=True, limits=limits)
    try:
        declared, times = capture.get(cv2.CAP_PROP_FRAME_COUNT), []
        while capture.grab():
            times.append(shown_at(capture))
            if len(times) > MOST_FRAMES or times[-1] >= LONGEST:
                raise DataError(
                    f"{where}: has over {MOST_FRAMES:,} frames, or one after over {LONGEST // 86_400_000} days; fetch "
                    "it again, or cut the video into parts"
                )
    finally:
        capture.release()
    if not times or len(times) < LEAST_SHARE * declared:
        raise DataError(
            f"{where}: {len(times):,} of the {max(declared, 0):,.0f} frames that it declares are there, so it is cut "
            "short or damaged; fetch it again"
        )
    return np.unique(np.array(times, np.int64)), stamp


def times_every(times: np.ndarray, seconds: float) -> np.ndarray:
    """int64 [m]: of the times [n] those of the frames that are seen at 0, `seconds`, 2 `seconds`, ...

    The frame that is seen at a moment is the last one before it or at it, as in a player. One that stays for longer
    than `seconds` is taken once.
    """
    step, since = seconds * 1000, times - times[0]
    until = np.append(since[1:] - 1, since[-1])
    return times[moments_until(until, step) > moments_until(since - 1, step)]


def moments_until(times: np.ndarray, step: float) -> np.ndarray:
    """How many of the moments `step`, 2 `step`, ..., rounded to milliseconds, have come at each of the times; -1 before
    0. Thus a long time between two frames takes no memory."""
    return np.floor((times + 0.5) / step)


def times_evenly(times: np.ndarray, count: int) -> np.ndarray:
    """int64 [m], m <= count: of the times [n] those of the frames seen in the middle of `count` equal parts.

    The last frame is taken to stay for as long as the others do on average. A video of fewer frames gives fewer.
    """
    last = (times[-1] - times[0]) / max(len(times) - 1, 1)
    length = times[-1] - times[0] + last
    return seen_at(times, times[0] + (np.arange(count) + 0.5) * length / count)


def seen_at(times: np.ndarray, moments: np.ndarray) -> np.ndarray:
    """Times of the frames that are seen at some moments, each once."""
    places = np.searchsorted(times, np.round(moments), side="right") - 1
    return times[np.unique(np.maximum(places, 0))]

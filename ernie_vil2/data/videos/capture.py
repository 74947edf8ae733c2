"""A video file in OpenCV's hands: FFmpeg alone reads it, and nothing but this file.

FFmpeg takes names for addresses, patterns and lists, and some formats name other files. So it is given a descriptor of
a file whose first bytes were looked at, the readers of `kinds.FORMATS`, and the protocol `file` without any other.
"""

import contextlib
import math
import os
import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...errors import DataError
from ..images.libraries import opencv
from ..images.limits import DEFAULT_LIMITS, Limits, check_size
from .kinds import FORMATS, open_video

if TYPE_CHECKING:
    import cv2

OPTIONS = f"protocol_whitelist;file|format_whitelist;{','.join(FORMATS)}"
VARIABLE, LEVEL = "OPENCV_FFMPEG_CAPTURE_OPTIONS", "OPENCV_FFMPEG_LOGLEVEL"
QUIET = "-8"
"""FFmpeg's level of a log without a line"""
OPENING = threading.Lock()
LONGEST = 30 * 24 * 3600 * 1000
"""Milliseconds of the longest video: of more speaks a file that is damaged"""
Stamp = tuple[int, int]
"""(bytes, time of the last change in nanoseconds) of a file"""


@contextlib.contextmanager
def fixed_options() -> Iterator[None]:
    """FFmpeg's options as they must be while a file is opened; OpenCV takes them from the environment alone."""
    with OPENING:
        before = os.environ.get(VARIABLE)
        os.environ[VARIABLE] = OPTIONS
        os.environ.setdefault(LEVEL, QUIET)  # read once, by the first video of the process
        try:
            yield
        finally:
            if before is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = before


def opened(
    path: str | os.PathLike, packets: bool = False, limits: Limits = DEFAULT_LIMITS
) -> tuple["cv2.VideoCapture", Stamp]:
    """(capture, stamp) of a video file; DataError for what is none, cannot be opened, or is over the limits.

    packets: `grab` goes from packet to packet and decodes nothing. Frames are turned as the file says. The decoder has
    one thread, so that several captures may work side by side and a fork finds none of it.
    """
    cv2, where = opencv(), os.fsdecode(path)
    wanted = [cv2.CAP_PROP_N_THREADS, 1] + [cv2.CAP_PROP_FORMAT, -1] * packets
    with open_video(path) as file:
        status = os.fstat(file.fileno())
        with fixed_options():
            capture = cv2.VideoCapture(f"/proc/self/fd/{file.fileno()}", cv2.CAP_FFMPEG, wanted)
    if not capture.isOpened():
        raise DataError(
            f"{where}: cannot be opened as a video: it is cut short, damaged, or of a codec that OpenCV "
            f"{cv2.__version__} lacks; fetch it again, or convert it to MP4 (H.264)"
        )
    capture.set(cv2.CAP_PROP_ORIENTATION_AUTO, 1)
    try:
        size = (int(capture.get(side)) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT))
        check_size(tuple(size), where, limits)
    except BaseException:
        capture.release()
        raise
    return capture, (status.st_size, status.st_mtime_ns)


def shown_at(capture: "cv2.VideoCapture") -> int:
    """Milliseconds from the start at which the frame or packet is shown that was taken last; at most LONGEST."""
    time = capture.get(opencv().CAP_PROP_POS_MSEC)
    return LONGEST if math.isnan(time) else round(min(max(time, 0), LONGEST))

"""The pixels of a frame that is shown at a known time: onwards frame by frame, or by a jump to a key frame."""

import os
import threading
from collections import OrderedDict

import numpy as np

from ...errors import DataError, ImageError
from ..images.libraries import opencv
from ..images.limits import DEFAULT_LIMITS, Limits, check_pixels, check_size, image_error
from .capture import Stamp, opened, shown_at

AHEAD = 10_000
"""Milliseconds up to which going on frame by frame costs less than a jump, which begins at a key frame before"""
MARGINS = (0, 1_000, 5_000, 30_000)
"""Milliseconds before a frame to which it is jumped, until one lands before it: OpenCV jumps by a constant rate"""
CLOSE = 1
"""Milliseconds within which two times are one"""
NOWHERE = -1 - CLOSE
"""The time before the first frame"""
MOST_OPEN = 4
"""Videos that a thread keeps open"""


class VideoReader:
    """Frames of one video file by their times in milliseconds, as `times.frame_times` gives them.

    For one thread. Frames are decoded onwards from the last one that was asked for, so that a walk in their order
    decodes each once.
    """

    def __init__(self, path: str | os.PathLike, stamp: Stamp | None = None, limits: Limits = DEFAULT_LIMITS):
        self.path, self.where, self.limits = path, os.fsdecode(path), limits
        self.capture, found = opened(path, limits=limits)
        self.at = NOWHERE
        """Time of the frame that was decoded last"""
        if stamp is not None and found != stamp:
            self.close()
            raise DataError(f"{self.where}: the file has changed since it was opened; open the source again")

    def close(self) -> None:
        """Let go of the file."""
        self.capture.release()

    def frame(self, time: int) -> np.ndarray:
        """RGB uint8 [H, W, 3], turned as the file says; ImageError where no frame of this time can be decoded."""
        if not self.at < time <= self.at + AHEAD:
            self._jump(time)
        while self.at < time - CLOSE and self._grab():
            pass
        if abs(self.at - time) > CLOSE:
            raise self._damaged(time)
        return self._pixels(time)

    def _grab(self):
        """Decode the next frame, and whether there was one."""
        if not self.capture.grab():
            self.at = float("inf")
            return False
        self.at = shown_at(self.capture)
        return True

    def _jump(self, time):
        """Decode a frame that is shown at `time` or before, by way of a key frame or from the start."""
        for margin in MARGINS:
            if time - margin <= 0:
                break
            self.capture.set(opencv().CAP_PROP_POS_MSEC, time - margin)
            if self._grab() and self.at <= time + CLOSE:
                return
        self.close()
        self.capture, self.at = opened(self.path, limits=self.limits)[0], NOWHERE
        self._grab()

    def _pixels(self, time):
        done, bgr = self.capture.retrieve()
        if not done or bgr is None:
            raise self._damaged(time)
        check_pixels(bgr, 3, f"{self.where}: a frame", "convert the video to MP4 (H.264)")
        check_size(bgr.shape[1::-1], self.where, self.limits)
        return opencv().cvtColor(bgr, opencv().COLOR_BGR2RGB)

    def _damaged(self, time) -> ImageError:
        return image_error(
            "damaged video",
            f"{self.where}: the frame at {seconds_text(time)} cannot be decoded; fetch the video again",
        )


class ReaderCache(threading.local):
    """The videos that a thread has open: the MOST_OPEN that were read last."""

    def __init__(self) -> None:
        self.readers, self.process = OrderedDict(), os.getpid()

    def get(self, path: str | os.PathLike, stamp: Stamp) -> VideoReader:
        """The VideoReader of a file with a stamp."""
        if self.process != os.getpid():  # the parent reads on at the place that both would share
            self.__init__()
        key = os.fspath(path), stamp
        if key not in self.readers:
            while len(self.readers) >= MOST_OPEN:
                self.readers.popitem(last=False)[1].close()
            self.readers[key] = VideoReader(path, stamp)
        self.readers.move_to_end(key)
        return self.readers[key]


READERS = ReaderCache()


def seconds_text(time: int) -> str:
    """A time in milliseconds as `12.0s`."""
    text = f"{time / 1000:.3f}".rstrip("0")
    return f"{text}0s" if text.endswith(".") else f"{text}s"

"""Frames of video files: a folder of them, or one, without captions."""

import os
import re
from bisect import bisect_right
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple, SupportsIndex

import numpy as np

from ....errors import ConfigError, DataError
from ....files.paths.litter import is_litter
from ....files.paths.names import distinct_texts, name_text
from ....messages import counted, quoted
from ...videos.frames import checked_count, checked_seconds, chosen
from ...videos.kinds import is_video_name
from ...videos.reader import READERS, seconds_text
from ..base import IMAGE_ALONE, RowError, Sample, Source
from ..plain.tree import Tree, first_folders
from ..usable import row_error

DEFAULT = "every 2 s"
EVERY = re.compile(r"every\s+(\d{1,9}(?:\.\d{1,9})?)\s*s(?:ec|econds?)?")


class Video(NamedTuple):
    """A video of a source. name: from the folder; times: int64 [n] milliseconds of its frames, a single one where
    `fault` is the RowError that stands for all of them."""

    name: str
    text: str
    times: np.ndarray
    stamp: tuple[int, int] | None
    fault: RowError | None


class VideosSource(Source):
    """A sample a frame, of all videos in a folder and its sub-folders in the order of their names, or of one file.

    frames: `every 2 s`, or a number of frames evenly in each video. allow_outside: whether links are followed that lead
    out of the folder. Every file is walked through once for the times of its frames, and nothing of it is decoded; 8
    bytes a frame are held. A video that cannot be read is one bad row.
    """

    sides = IMAGE_ALONE

    def __init__(self, path: str | os.PathLike, frames: int | str = DEFAULT, allow_outside: bool = False):
        self.frames, wanted = frames, wanted_frames(frames)
        path = Path(path)
        is_folder = path.is_dir()
        self.folder, self.name, self.prefix = path if is_folder else path.parent, name_text(path), ""
        self.tree, self.left_out = Tree(self.folder, allow_outside), []
        names = self._names() if is_folder else [path.name]
        if not names:
            raise DataError(f"{path}: holds no video file; give a folder with some, or one file")
        texts = distinct_texts(names)
        self.videos = [self._video(name, texts.get(name, name), wanted, is_folder) for name in names]
        self.ends = list(accumulate(len(video.times) for video in self.videos))

    def _names(self):
        """Paths of the videos from the folder, in order."""
        found = []
        for parent, files in self.tree.walk():
            for name in files:
                if not is_litter(name):
                    place = os.path.normpath(os.path.join(parent, name))
                    (found if is_video_name(name) else self.left_out).append(place)
        return sorted(found)

    def _video(self, name, text, wanted, is_folder):
        path, where = self.folder / name, os.path.join(name_text(self.folder), text)
        try:
            return Video(name, text, *chosen(self.tree.path(name, where) if is_folder else path, wanted), None)
        except DataError as error:
            error.cause = getattr(error, "cause", "broken video")
            return Video(name, text, np.zeros(1, np.int64), None, row_error(where, error))

    def __len__(self):
        return self.ends[-1]

    def load(self, index: int) -> Sample:
        video, time = self._locate(index)
        if video.fault:
            raise video.fault
        path, where = self.folder / video.name, self.where(index)
        try:
            pixels = READERS.get(path, video.stamp).frame(time)
        except DataError as error:
            told = DataError(str(error).removeprefix(f"{path}: "))
            told.cause = getattr(error, "cause", "broken video")
            raise row_error(where, told) from None
        return Sample(self.key(index), pixels, (), (), where)

    def _locate(self, index):
        """(video, time in milliseconds) of a row."""
        number = bisect_right(self.ends, index)
        video = self.videos[number]
        return video, int(video.times[index - (self.ends[number - 1] if number else 0)])

    def key(self, index: SupportsIndex) -> str:
        video, time = self._locate(self.position(index))
        return f"{self.prefix}{video.text}@{seconds_text(time)}"

    def where(self, index: SupportsIndex) -> str:
        video, time = self._locate(self.position(index))
        place = os.path.join(name_text(self.folder), video.text)
        return place if video.fault else f"{place}@{seconds_text(time)}"

    def qualify_ids(self, folders: bool = True) -> None:
        if folders:
            self.prefix = f"{name_text(self.folder)}/"

    def own_id(self, index: int, key: str) -> str:
        return key.removeprefix(self.prefix)

    def shard_sizes(self) -> list[int]:
        return [len(video.times) for video in self.videos]

    def describe(self) -> str:
        frames = f"{self.frames} of each evenly" if isinstance(wanted_frames(self.frames), int) else self.frames
        videos = counted(len(self.videos), "video")
        return f"{self.name}: {counted(len(self), 'frame')} of {videos} ({frames}), no captions"

    @property
    def notes(self) -> list[str]:
        broken = [video.fault for video in self.videos if video.fault]
        notes = (
            [f"{self.name}: {counted(len(broken), 'video')} cannot be read, the first is {broken[0]}"] if broken else []
        )
        if self.left_out:
            first = name_text(min(self.left_out))
            notes.append(f"{self.name}: {len(self.left_out):,} other files are left out, for example {first}")
        return notes + self.tree.passed_over()


def wanted_frames(frames: int | str) -> int | float:
    """The option `frames`: an int is a number of frames evenly, a float the seconds from one to the next."""
    if isinstance(frames, str) and (match := EVERY.fullmatch(frames.strip())):
        return checked_seconds(float(match[1]))
    if isinstance(frames, str) and re.fullmatch(r"\d{1,9}", frames.strip()):
        frames = int(frames)
    if type(frames) is int:
        return checked_count(frames)
    raise ConfigError(f"frames of a videos source is {quoted(frames)}; write `every 2 s`, or a number of frames")


def holds_only_videos(path: str | os.PathLike) -> bool:
    """Whether all files in a folder, and in the first folders below it, are videos by name, and there are some."""
    names = [name for _, files in first_folders(path) for name in files if not is_litter(name)]
    return bool(names) and all(map(is_video_name, names))

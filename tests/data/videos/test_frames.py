"""Frames are those that are seen at their times, whatever headers say; what is no video is never given to FFmpeg."""

import os
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from ernie_vil2.data.images.limits import Limits
from ernie_vil2.data.videos import capture
from ernie_vil2.data.videos.frames import frames_evenly, frames_every
from ernie_vil2.data.videos.reader import VideoReader, seconds_text
from ernie_vil2.data.videos.times import frame_times, times_evenly, times_every
from ernie_vil2.errors import ConfigError, DataError, ImageError
from tests.data.videos.drawn import colour, shows, without_frame, write_video

FORMS = [("mp4", "mp4v"), ("mov", "mp4v"), ("avi", "MJPG"), ("mkv", "MJPG"), ("ts", "mp4v")]


@pytest.fixture(scope="module")
def clip(tmp_path_factory):
    return write_video(tmp_path_factory.mktemp("videos") / "clip.mp4")


@pytest.mark.parametrize("suffix, code", FORMS)
def test_a_frame_is_the_one_of_its_time(tmp_path, suffix, code):
    path = write_video(tmp_path / f"clip.{suffix}", code=code)
    found = list(frames_every(path, 1))
    assert [frame.time for frame in found] == [0, 1, 2, 3, 4, 5]
    assert all(shows(frame.pixels, round(frame.time * 5)) for frame in found)
    assert all(frame.pixels.dtype == np.uint8 and frame.pixels.shape == (48, 48, 3) for frame in found)


def test_frames_evenly_are_from_the_middles_of_equal_parts(clip):
    found = list(frames_evenly(clip, 3))
    assert [frame.time for frame in found] == [0.8, 2.6, 4.4] and all(
        shows(frame.pixels, number) for frame, number in zip(found, (4, 13, 22), strict=True)
    )
    assert len(list(frames_evenly(clip, 100))) == 27


def test_a_varying_rate_is_seen_as_a_player_shows_it():
    times = np.array([0, 100, 200, 5000, 5100, 9000])
    assert times_every(times, 2.0).tolist() == [0, 200, 5100]
    assert times_evenly(times, 2).tolist() == [200, 5100]
    assert times_every(np.array([0, 10**12]), 0.001).tolist() == [0, 10**12]


@pytest.mark.parametrize("seconds", [0.001, 0.033, 1 / 3, 0.5, 1, 7.7])
def test_each_moment_is_looked_up_as_a_player_does(seconds):
    times = np.unique(np.random.default_rng(0).integers(0, 20_000, 200))
    moments = [round(number * seconds * 1000) for number in range(20_000) if number * seconds * 1000 <= 20_000]
    seen = {max(time for time in times if time <= times[0] + at) for at in moments if times[0] + at <= times[-1]}
    assert times_every(times, seconds).tolist() == sorted(seen)


@pytest.mark.parametrize("order", [[26, 0, 13, 12, 14, 1, 25], [5, 5, 4, 6]])
def test_any_order_gives_what_a_walk_gives(clip, order, monkeypatch):
    monkeypatch.setattr("ernie_vil2.data.videos.reader.AHEAD", 300)  # else a short video is never jumped in
    times, stamp = frame_times(clip)
    walk, random = VideoReader(clip, stamp), VideoReader(clip, stamp)
    pixels = [walk.frame(time) for time in times.tolist()]
    for number in order:
        assert np.array_equal(random.frame(int(times[number])), pixels[number])


class Far:
    """A capture whose jumps land two seconds too late, as they may where the rate varies."""

    def __init__(self, capture):
        self.capture = capture

    def set(self, name, value):
        return self.capture.set(name, value + 2000)

    def __getattr__(self, name):
        return getattr(self.capture, name)


@pytest.mark.parametrize("time", [2600, 1000, 5200])
def test_a_jump_that_lands_too_late_is_done_again(clip, monkeypatch, time):
    monkeypatch.setattr("ernie_vil2.data.videos.reader.AHEAD", 300)
    reader = VideoReader(clip)
    reader.capture = Far(reader.capture)
    assert shows(reader.frame(time), time // 200)


def test_a_time_without_a_frame_gives_none(clip):
    with pytest.raises(ImageError, match="the frame at 0.3s cannot be decoded"):
        VideoReader(clip).frame(300)


def test_a_walk_decodes_each_frame_once(clip, monkeypatch):
    grabbed, grab = [], VideoReader._grab
    monkeypatch.setattr(VideoReader, "_grab", lambda reader: grabbed.append(1) or grab(reader))
    assert len(list(frames_every(clip, 0.2))) == len(grabbed) == 27


def test_rotation_of_the_file_is_applied(tmp_path):
    path = write_video(tmp_path / "wide.mp4", size=(64, 48))
    data = bytearray(path.read_bytes())
    matrix = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
    place = data.rfind(matrix)  # that of the track; the film has one, too
    data[place : place + len(matrix)] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 0, 0, 1 << 30)
    path.write_bytes(data)
    assert next(frames_every(path, 1)).pixels.shape == (64, 48, 3)


def test_a_count_in_the_header_is_not_believed(tmp_path):
    path = write_video(tmp_path / "lies.avi", code="MJPG")
    data = bytearray(path.read_bytes())
    for kind, offset in ((b"avih", 8 + 16), (b"strh", 8 + 32)):
        place = data.find(kind) + offset
        assert struct.unpack_from("<I", data, place) == (27,)
        struct.pack_into("<I", data, place, 29)
    path.write_bytes(data)
    assert [frame.time for frame in frames_evenly(path, 3)] == [0.8, 2.6, 4.4]


def test_a_cut_video_says_so(tmp_path):
    avi = write_video(tmp_path / "cut.avi", code="MJPG")
    avi.write_bytes(avi.read_bytes()[: avi.stat().st_size // 2])
    with pytest.raises(DataError, match=r"cut\.avi: \d+ of the 27 frames .* cut short .*; fetch it again"):
        list(frames_every(avi, 1))
    mp4 = write_video(tmp_path / "cut.mp4")
    mp4.write_bytes(mp4.read_bytes()[: mp4.stat().st_size // 2])
    with pytest.raises(DataError, match="cut.mp4: cannot be opened as a video: it is cut short"):
        list(frames_every(mp4, 1))


PLAYLIST = b"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\nclip.mp4\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    "content, reason",
    [
        (PLAYLIST, "does not begin as a video does"),
        (b"ffconcat version 1.0\nfile clip.mp4\n", "does not begin as a video does"),
        (b"v=0\nc=IN IP4 127.0.0.1\nm=video 9 RTP/AVP 96\n", "does not begin as a video does"),
        (b"GIF89a" + bytes(99), "does not begin as a video does"),
        (b"\0\0\0\x1cftypavif" + bytes(99), "does not begin as a video does"),
        (b"", "is empty"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n", "git"),
        (b"\0\0\0\x18ftypisom" + bytes(99), "cannot be opened as a video"),
    ],
)
def test_what_is_no_video_is_one_sentence(tmp_path, clip, content, reason):
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    path = tmp_path / "list.mp4"
    path.write_bytes(content)
    with pytest.raises(DataError, match=reason) as caught:
        list(frames_every(path, 1))
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_ffmpeg_itself_takes_no_other_format(tmp_path, monkeypatch):
    path = tmp_path / "moving.mp4"
    Image.new("RGB", (8, 8)).save(path, "GIF", save_all=True, append_images=[Image.new("RGB", (8, 8), "red")])
    monkeypatch.setattr("ernie_vil2.data.videos.kinds.kind_of", lambda head: "mov")
    with pytest.raises(DataError, match="cannot be opened as a video"):
        list(frames_every(path, 1))


@pytest.mark.parametrize("content", [PLAYLIST, b"ffconcat version 1.0\nfile 'clip.mp4'\n"])
def test_ffmpeg_itself_takes_no_list(tmp_path, clip, monkeypatch, content):
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "list.mp4").write_bytes(content)
    monkeypatch.setattr("ernie_vil2.data.videos.kinds.kind_of", lambda head: "mov")
    with pytest.raises(DataError, match="cannot be opened as a video"):
        list(frames_every(tmp_path / "list.mp4", 1))


@pytest.mark.parametrize(
    "name", ["http://localhost/a.mp4", "file:clip.mp4", "concat:clip.mp4", "clip%02d.mp4", "none.mp4"]
)
def test_a_name_is_a_file_or_nothing(tmp_path, clip, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "clip.mp4").write_bytes(clip.read_bytes())
    (tmp_path / "clip01.mp4").write_bytes(clip.read_bytes())
    with pytest.raises(DataError, match="cannot be read"):
        list(frames_every(name, 1))


def test_pipes_devices_and_folders_are_refused_at_once(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    for path in (tmp_path / "pipe.mp4", "/dev/zero", tmp_path):
        with pytest.raises(DataError, match="is no regular file"):
            list(frames_every(path, 1))


def test_any_name_of_a_file_is_read(tmp_path, clip):
    for name in (b"a%02d\n.mp4", b"\xff\xfe|;.mp4", b"no suffix"):
        path = os.path.join(os.fsencode(tmp_path), name)
        with open(path, "wb") as file:
            file.write(clip.read_bytes())
        assert len(list(frames_every(os.fsdecode(path), 1))) == 6


def test_limits_hold_before_a_frame_is_decoded(clip):
    with pytest.raises(DataError, match="48 x 48 pixels are over the limit of 1000"):
        next(frames_every(clip, 1, Limits(max_pixels=1000)))


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "2", True])
def test_seconds_that_are_none_are_refused(clip, seconds):
    with pytest.raises(ConfigError, match="give seconds from"):
        frames_every(clip, seconds)


@pytest.mark.parametrize("count", [0, -1, 1.5, True, 10**9])
def test_a_count_that_is_none_is_refused(clip, count):
    with pytest.raises(ConfigError, match="whole number from 1"):
        frames_evenly(clip, count)


def test_the_environment_stays_and_nothing_is_printed(clip, tmp_path):
    broken = without_frame(write_video(tmp_path / "broken.avi", code="MJPG"), 2)
    code = (
        "import os, sys, contextlib\nfrom ernie_vil2.data.videos.frames import frames_every\n"
        "from ernie_vil2.errors import DataError\nbefore = os.environ.get('OPENCV_FFMPEG_CAPTURE_OPTIONS')\n"
        "for path in sys.argv[1:]:\n  with contextlib.suppress(DataError): list(frames_every(path, 0.2))\n"
        "print(before == os.environ.get('OPENCV_FFMPEG_CAPTURE_OPTIONS'))"
    )
    command = [sys.executable, "-c", code, str(clip), str(broken)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("True\n", "")
    assert capture.OPTIONS.startswith("protocol_whitelist;file|")


def test_times_are_written_for_people():
    assert [seconds_text(time) for time in (0, 12_000, 1_250, 33)] == ["0.0s", "12.0s", "1.25s", "0.033s"]
    assert len({tuple(colour(number)) for number in range(27)}) == 27

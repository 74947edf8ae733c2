"""Videos as a source: a sample a frame, the same from every thread, fork and pickle; bad videos are bad rows."""

import multiprocessing
import os
import pickle
import threading

import numpy as np
import pytest

from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError
from tests.data.videos.drawn import shows, without_frame, write_video


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("clips")
    write_video(folder / "b.mp4")
    write_video(folder / "a" / "long.avi", count=54, code="MJPG")
    (folder / ".DS_Store").write_bytes(b"x")
    return folder


def all_pixels(source):
    return [sample.image for sample in source]


def test_a_sample_is_a_frame(folder):
    source = open_source(folder)
    assert [sample.id for sample in source] == [
        *(f"a/long.avi@{time}.0s" for time in (0, 2, 4, 6, 8, 10)),
        *(f"b.mp4@{time}.0s" for time in (0, 2, 4)),
    ]
    assert [source.key(row) for row in range(len(source))] == [sample.id for sample in source]
    assert all(sample.texts == () and sample.tags == () for sample in source) and source.sides == ("image",)
    assert source.where(-1) == f"{folder}/b.mp4@4.0s" and source.shard_sizes() == [6, 3]
    assert all(shows(sample.image, int(sample.id.partition("@")[2][:-3]) * 5 % 27) for sample in source)
    assert source.describe() == f"{folder}: 9 frames of 2 videos (every 2 s), no captions"


@pytest.mark.parametrize("frames, count", [("every 0.5 s", 33), ("every 1 second", 17), (2, 4), ("3", 6)])
def test_frames_is_a_distance_or_a_number(folder, frames, count):
    assert len(open_source({"kind": "videos", "path": folder, "frames": frames})) == count


@pytest.mark.parametrize("frames", ["every s", "2 s", "every 0 s", 0, -1, True, None, "every 2 frames", 2.5])
def test_frames_that_are_neither_are_refused(folder, frames):
    with pytest.raises(ConfigError):
        open_source({"kind": "videos", "path": folder, "frames": frames})


def test_one_file_is_a_source(folder):
    assert [sample.id for sample in open_source(folder / "b.mp4")] == [f"b.mp4@{time}.0s" for time in (0, 2, 4)]


def test_threads_forks_and_pickles_read_the_same(folder):
    source = open_source({"kind": "videos", "path": folder, "frames": "every 0.4 s"})
    wanted, found = all_pixels(source), []
    threads = [threading.Thread(target=lambda: found.append(all_pixels(source))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found.append(all_pixels(pickle.loads(pickle.dumps(source))))
    assert all(np.array_equal(one, other) for pixels in found for one, other in zip(wanted, pixels, strict=True))


def test_a_fork_leaves_the_place_of_its_parent_alone(tmp_path):
    rng = np.random.default_rng(0)  # frames that are larger than what FFmpeg reads ahead
    path = write_video(
        tmp_path / "noise.avi", code="MJPG", size=(320, 240), colours=lambda _: rng.integers(0, 256, (240, 320, 3))
    )
    source = open_source({"kind": "videos", "path": path, "frames": "every 0.2 s"})
    wanted = all_pixels(source)
    context = multiprocessing.get_context("fork")
    assert np.array_equal(source[3].image, wanted[3])
    with context.Pool(1) as pool:
        assert np.array_equal(pool.apply(source.load, (20,)).image, wanted[20])
    assert np.array_equal(source[5].image, wanted[5])


def test_a_broken_video_is_one_bad_row(tmp_path):
    write_video(tmp_path / "good.mp4")
    (tmp_path / "bad.mp4").write_bytes(b"no video")
    source, errors = open_source(tmp_path), []
    assert len(list(source.samples("skip", errors))) == 3
    (error,) = errors
    assert isinstance(error, RowError) and error.cause == "broken video"
    assert str(error).startswith(f"{tmp_path}/bad.mp4: does not begin as a video does")
    assert source.notes == [f"{tmp_path}: 1 video cannot be read, the first is {error}"]


def test_a_frame_that_cannot_be_decoded_is_a_bad_row(tmp_path):
    path = without_frame(write_video(tmp_path / "a.avi", code="MJPG"), 10)
    source, errors = open_source(path), []
    assert [sample.id for sample in source.samples("skip", errors)] == ["a.avi@0.0s", "a.avi@4.0s"]
    (error,) = errors
    assert isinstance(error, RowError) and error.cause == "damaged video"
    assert str(error) == f"{path}@2.0s: the frame at 2.0s cannot be decoded; fetch the video again"


def test_a_video_that_changes_is_told(tmp_path):
    path = write_video(tmp_path / "a.mp4")
    source = open_source(path)
    write_video(path, count=10)
    with pytest.raises(DataError, match="has changed since it was opened"):
        source[0]


def test_links_out_of_the_folder_are_followed_when_allowed(folder, tmp_path):
    os.symlink(folder / "b.mp4", tmp_path / "link.mp4")
    with pytest.raises(RowError, match="is not a regular file inside the folder; set allow_outside"):
        open_source(tmp_path)[0]
    assert len(list(open_source({"kind": "videos", "path": tmp_path, "allow_outside": True}))) == 3


def test_a_folder_with_other_files_is_no_source_of_videos(tmp_path):
    write_video(tmp_path / "a.mp4")
    (tmp_path / "notes.txt").write_text("x")
    assert open_source({"kind": "videos", "path": tmp_path}).notes == [
        f"{tmp_path}: 1 other files are left out, for example notes.txt"
    ]
    with pytest.raises(DataError):
        open_source(tmp_path)


def test_equal_names_of_two_folders_are_two_videos(tmp_path):
    for name in ("x", "y"):
        write_video(tmp_path / name / "a.mp4", count=5)
    source = open_source([tmp_path / "x", tmp_path / "y"])
    assert [sample.id for sample in source] == [f"{tmp_path}/{name}/a.mp4@0.0s" for name in "xy"]

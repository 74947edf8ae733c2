"""Videos among pictures: a row a frame, all of a video or none, and one that moved keeps its rows."""

import os
import shutil

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.search.scan.places import check_options, place_of
from ernie_vil2.search.scan.removal import take_out
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.data.videos.drawn import write_video
from tests.search.scan.conftest import draw


@pytest.fixture
def mixed(tmp_path):
    """A folder of three pictures and a video of 5.4 s."""
    folder = tmp_path / "mixed"
    for seed in range(3):
        draw(folder / f"{seed}.png", seed)
    write_video(folder / "clip.mp4")
    return folder


FRAMES = ["clip.mp4@0.0s", "clip.mp4@2.0s", "clip.mp4@4.0s"]


def test_frames_are_rows_with_their_times(indexed, mixed):
    report = indexed.scan(mixed)
    rows = indexed.rows()
    assert sorted(rows) == ["0.png", "1.png", "2.png", *FRAMES]
    assert report.counts["new"] == 4 and report.counts["frames"] == 3
    frames = [rows[key] for key in FRAMES]
    assert [row["time"] for row in frames] == [0, 2000, 4000] and rows["0.png"]["time"] is None
    assert {(row["path"], row["digest"], row["size"]) for row in frames} == {
        (b"clip.mp4", frames[0]["digest"], (mixed / "clip.mp4").stat().st_size)
    }
    assert frames[0]["width"] > 0 and indexed.scan(mixed).counts["same"] == 4


def test_with_a_frame_its_video_is_taken_out(indexed, mixed):
    shutil.copy(mixed / "clip.mp4", mixed / "copy.mp4")
    indexed.scan(mixed)
    with open_writer(indexed.place) as writer:
        assert take_out(writer, None, [], [indexed.ids()["clip.mp4@2.0s"], indexed.ids()["1.png"]]) == 4
    left = sorted(indexed.rows())
    assert left == ["0.png", "2.png", *(name.replace("clip", "copy") for name in FRAMES)]
    indexed.scan(mixed)
    assert sorted(indexed.rows()) == left


def test_moved_copied_and_edited_videos(indexed, mixed):
    indexed.scan(mixed)
    before = indexed.ids()
    (mixed / "sub").mkdir()
    os.rename(mixed / "clip.mp4", mixed / "sub/film.mp4")
    report = indexed.scan(mixed)
    assert report.encoded == 0 and report.counts["moved"] == 1
    after = indexed.ids()
    assert after["sub/film.mp4@2.0s"] == before["clip.mp4@2.0s"] and not set(FRAMES) & set(after)
    shutil.copy(mixed / "sub/film.mp4", mixed / "copy.mp4")
    report = indexed.scan(mixed)
    assert report.encoded == 0 and report.counts["new"] == 1
    os.utime(mixed / "sub/film.mp4", ns=(1, 1))
    report = indexed.scan(mixed)
    assert report.encoded == 0 and report.counts["touched"] == 1
    assert len(indexed.ids()) == 9
    write_video(mixed / "copy.mp4", count=12)
    report = indexed.scan(mixed)
    assert report.counts["edited"] == 1 and [key for key in indexed.ids() if "copy" in key] == [
        "copy.mp4@0.0s",
        "copy.mp4@2.0s",
    ]
    os.unlink(mixed / "sub/film.mp4")
    assert indexed.scan(mixed).counts["gone"] == 1 and len(indexed.ids()) == 5


def test_a_broken_video_is_one_bad_file(indexed, mixed):
    data = (mixed / "clip.mp4").read_bytes()
    (mixed / "cut.mp4").write_bytes(data[: len(data) // 2])
    (mixed / "text.mp4").write_text("no video")
    report = indexed.scan(mixed)
    assert report.causes.total() == 2 and len(indexed.rows()) == 6
    assert not any("/proc" in fault.reason for fault in faults(indexed))
    assert indexed.scan(mixed).counts["bad before"] == 2


def faults(indexed):
    from ernie_vil2.search.scan.fault import Faults

    return list(Faults(indexed.place).known.values())


def test_other_frames_of_a_folder_are_refused(indexed, mixed):
    indexed.scan(places=[place_of(str(mixed), "every 1 s")])
    assert len(indexed.rows()) == 3 + 6
    manifest = open_snapshot(indexed.place).manifest
    check_options(manifest, place_of(str(mixed), "every 1 s"))
    with pytest.raises(ConfigError, match="other options.*remove --source"):
        check_options(manifest, place_of(str(mixed)))
    with pytest.raises(ConfigError, match="write `every 2 s`"):
        place_of(str(mixed), "sometimes")


def test_small_batches_of_frames_give_the_same_rows(indexed, mixed, monkeypatch):
    indexed.scan(mixed)
    whole = indexed.state()
    shutil.rmtree(indexed.place)
    monkeypatch.setattr("ernie_vil2.search.scan.folder.video_scan.BATCH_FRAMES", 2)
    indexed.scan(mixed)
    assert indexed.state() == whole

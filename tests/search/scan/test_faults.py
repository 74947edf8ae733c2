"""Files that cannot be indexed: counted by cause, listed, not tried again before they change; the rest goes on."""

import json
import os
import struct
import zlib

import pytest

from ernie_vil2.search.scan.fault import BAD, Fault, Faults
from ernie_vil2.search.scan.folder import content, folder_scan
from ernie_vil2.search.scan.places import place_of, place_of_root
from ernie_vil2.search.store.snapshot import open_snapshot
from tests.search.scan.conftest import draw


def huge_png():
    """A PNG that declares 101 megapixels."""
    header = struct.pack(">IIBBBBB", 10100, 10000, 8, 2, 0, 0, 0)
    chunk = b"IHDR" + header
    end = b"\0\0\0\0IEND" + struct.pack(">I", zlib.crc32(b"IEND"))
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk)) + end


@pytest.fixture
def odd(photos):
    """The folder of photos with six files that cannot be indexed, and one that is no picture."""
    (photos / "text.jpg").write_text("no picture")
    (photos / "notes.txt").write_text("no picture")
    (photos / "huge.png").write_bytes(huge_png())
    (photos / "empty.jpg").write_bytes(b"")
    (photos / "cut.png").write_bytes((photos / "a/001.png").read_bytes()[:-30])
    os.mkfifo(photos / "pipe.png")
    (photos / "circle.png").symlink_to("circle.png")
    return photos


def listed(indexed):
    return [json.loads(line) for line in (indexed.place / BAD).read_text().splitlines()]


def test_bad_files_are_counted_and_listed_and_the_rest_goes_on(indexed, odd):
    report = indexed.scan(odd)
    assert report.counts["new"] == 12 and len(indexed.rows()) == 12
    assert report.causes == {
        "not an image": 1,
        "too large": 1,
        "empty image": 1,
        "truncated image": 1,
        "unreadable file": 1,
        "unusable link": 1,
    }
    rows = {row["path"]: row for row in listed(indexed)}
    assert set(rows) == {"text.jpg", "huge.png", "empty.jpg", "cut.png", "pipe.png", "circle.png"}
    assert rows["huge.png"]["cause"] == "too large" and "10100 x 10000" in rows["huge.png"]["reason"]
    assert not any(row["reason"].startswith("an image of") for row in rows.values())


def test_bad_files_are_tried_again_when_they_change(indexed, odd, monkeypatch):
    indexed.scan(odd)
    read = []
    real = folder_scan.read_picture
    monkeypatch.setattr(
        folder_scan,
        "read_picture",
        lambda root, number, path, *rest: read.append(path) or real(root, number, path, *rest),
    )
    report = indexed.scan(odd)
    assert read == [] and report.counts["bad before"] == 4 and len(listed(indexed)) == 6
    draw(odd / "cut.png", 77)
    report = indexed.scan(odd)
    assert read == [b"cut.png"] and report.counts["new"] == 1
    assert "cut.png" not in {row["path"] for row in listed(indexed)} and "cut.png" in indexed.rows()
    os.unlink(odd / "huge.png")
    indexed.scan(odd)
    assert {row["path"] for row in listed(indexed)} == {"text.jpg", "empty.jpg", "pipe.png", "circle.png"}


def test_a_list_of_none_is_no_file(indexed, odd):
    indexed.scan(odd)
    for name in ("text.jpg", "huge.png", "empty.jpg", "cut.png", "pipe.png", "circle.png"):
        os.unlink(odd / name)
    indexed.scan(odd)
    assert not (indexed.place / BAD).exists()


def test_a_picture_that_becomes_bad_has_no_row(indexed, photos):
    indexed.scan(photos)
    (photos / "a/001.png").write_bytes(b"")
    report = indexed.scan(photos)
    assert report.causes == {"empty image": 1} and "a/001.png" not in indexed.rows()


def test_a_file_that_changes_while_it_is_read_is_tried_again(indexed, photos, monkeypatch):
    real = content.content_of_bytes

    def changing(data, size=0, mtime=0):
        if data == first:
            with open(photos / "a/001.png", "ab") as file:
                file.write(b"more")
        return real(data, size, mtime)

    first = (photos / "a/001.png").read_bytes()
    monkeypatch.setattr(content, "content_of_bytes", changing)
    report = indexed.scan(photos)
    assert report.causes == {content.CHANGING: 1} and len(indexed.rows()) == 11
    report = indexed.scan(photos)
    assert report.counts["new"] == 1 and len(indexed.rows()) == 12 and not (indexed.place / BAD).exists()


def test_a_file_that_vanishes_between_listing_and_reading(indexed, photos, monkeypatch):
    real = folder_scan.FolderScan.run

    def run(self, *rest, **options):
        os.unlink(photos / "a/001.png")
        real(self, *rest, **options)

    monkeypatch.setattr(folder_scan.FolderScan, "run", run)
    report = indexed.scan(photos)
    assert report.causes == {"unreadable file": 1} and len(indexed.rows()) == 11
    monkeypatch.undo()
    indexed.scan(photos)
    assert not (indexed.place / BAD).exists()


def test_what_is_out_of_reach_stays_in_the_index(indexed, photos, closed):
    indexed.scan(photos)
    before = indexed.state()
    os.unlink(photos / "b/000.png")
    closed(b"a")
    report = indexed.scan(photos)
    assert report.causes == {"unreadable folder": 1} and report.counts["gone"] == 1
    assert indexed.state() == [row for row in before if row[1] != "b/000.png"]


def test_names_that_are_no_text_are_rows_and_faults(indexed, photos):
    name = os.path.join(os.fsencode(photos), "照片".encode("gbk"))
    os.rename(photos / "a/001.png", name + b".png")
    with open(name + b"\xff.jpg", "wb"):
        pass
    indexed.scan(photos)
    assert indexed.rows()["照片.png"]["path"] == "照片".encode("gbk") + b".png"
    assert indexed.scan(photos).counts["bad before"] == 1  # so the list was read back as it was written


def test_a_damaged_list_is_begun_anew(tmp_path):
    (tmp_path / BAD).write_text('{"root": 0}\nnonsense')
    faults = Faults(tmp_path)
    assert not len(faults)
    faults.add(Fault(0, b"a\xff\nb", 1, 2, "cause", "reason"))
    faults.write()
    assert Faults(tmp_path).of_root(0) == [Fault(0, b"a\xff\nb", 1, 2, "cause", "reason")]


def test_a_folder_whose_name_is_no_text_is_a_place(indexed, tmp_path):
    folder = os.fsdecode(os.path.join(os.fsencode(tmp_path), "照片".encode("gbk")))
    os.mkdir(folder)
    draw(tmp_path / "a.png", 1)
    os.rename(tmp_path / "a.png", os.path.join(folder, "a.png"))
    indexed.scan(folder)
    (root,) = open_snapshot(indexed.place).manifest.roots.values()
    place = place_of_root(root)
    assert os.fsencode(place.folder) == os.fsencode(os.path.realpath(folder))
    assert place == place_of(folder) and indexed.scan(places=[place]).counts["same"] == 1

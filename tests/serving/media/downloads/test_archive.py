"""An archive of pictures: any program can unpack it, and it holds the bytes of the files."""

import io
import os
import shutil
import subprocess
import zipfile
import zlib

import pytest

from ernie_vil2.serving.media.downloads import archive as module
from ernie_vil2.serving.media.downloads import zip_records
from ernie_vil2.serving.media.downloads.archive import MISSING, Archive
from ernie_vil2.serving.media.downloads.exports import selection_of
from ernie_vil2.serving.media.downloads.zip_records import Entry, central_record, end_records, local_record
from ernie_vil2.serving.media.row_pictures import RowPictures
from tests.serving.media.conftest import colours, encoded


def unpacked(data):
    """{name: bytes} of an archive, all of it checked."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        assert archive.testzip() is None
        return {name: archive.read(name) for name in archive.namelist()}


def sent(rows, pictures=None):
    return b"".join(Archive(pictures or RowPictures(), rows).pieces())


def chosen(shown, keys):
    ids = shown.ids()
    return selection_of(shown.view, [ids[key] for key in keys], RowPictures())


def test_it_holds_the_files_and_each_once(shown, photos, table, tmp_path, vectors):
    for name in ("b", "上海"):
        (photos / name / "same.jpg").write_bytes(encoded(colours(len(name)), "JPEG"))
    shown.scan(photos, tmp_path / "rows.jsonl")
    shown.scan(places=[vectors])
    keys = ["b/same.jpg", "上海/same.jpg", "clip.mp4@0.0s", "clip.mp4@2.0s", "row 1", "v1"]
    ids = shown.ids()
    found = selection_of(shown.view, [*(ids[key] for key in keys), ids["row 1"], 10**9], RowPictures())
    files = unpacked(sent(found.rows))
    assert files == {
        "same.jpg": (photos / "b/same.jpg").read_bytes(),
        "same (2).jpg": (photos / "上海/same.jpg").read_bytes(),
        "clip.mp4": (photos / "clip.mp4").read_bytes(),
        "row 1.png": table["row 1"],
    }
    assert found.missing == 2 and found.bytes == sum(map(len, files.values()))


@pytest.mark.skipif(not shutil.which("unzip"), reason="no unzip")
def test_another_program_unpacks_it(shown, photos, tmp_path):
    shown.scan(photos)
    (tmp_path / "all.zip").write_bytes(sent(chosen(shown, shown.ids()).rows))
    subprocess.run(["unzip", "-tq", tmp_path / "all.zip"], check=True, stdout=subprocess.DEVNULL)


def test_files_that_vanish_before_they_are_sent_are_named_in_it(shown, photos):
    shown.scan(photos)
    rows = chosen(shown, ["b/0.jpg", "b/2.jpg", "上海/1.jpg"]).rows
    (photos / "b/2.jpg").unlink()
    (photos / "上海/1.jpg").write_bytes(encoded(colours(5), "JPEG"))
    files = unpacked(sent(rows))
    assert list(files) == ["0.jpg", MISSING]
    assert [line.split(":")[0] for line in files[MISSING].decode().splitlines()] == ["2.jpg", "1.jpg"]


def test_a_file_that_vanishes_while_it_is_sent_is_whole(shown, photos, monkeypatch):
    monkeypatch.setattr(module, "PIECE", 100)
    shown.scan(photos)
    rows, wanted = chosen(shown, ["b/0.jpg", "b/2.jpg"]).rows, (photos / "b/0.jpg").read_bytes()
    pieces = Archive(RowPictures(), rows).pieces()
    data = next(pieces) + next(pieces)
    (photos / "b/0.jpg").unlink()
    assert unpacked(data + b"".join(pieces))["0.jpg"] == wanted


@pytest.mark.parametrize("after", [1, 2])
def test_a_file_that_is_cut_while_it_is_sent_spoils_no_other(shown, photos, after):
    """after: how many pieces were taken; by then its checksum is known, or its first bytes were sent."""
    shown.scan(photos)
    rows, wanted = chosen(shown, ["b/0.jpg", "b/2.jpg"]).rows, (photos / "b/2.jpg").read_bytes()
    pieces = Archive(RowPictures(), rows).pieces()
    data = b"".join(next(pieces) for _ in range(after))
    os.truncate(photos / "b/0.jpg", 10)
    with zipfile.ZipFile(io.BytesIO(data + b"".join(pieces))) as archive:
        assert archive.testzip() == "0.jpg" and archive.read("2.jpg") == wanted
        assert archive.read(MISSING).decode().startswith("0.jpg: changed")


@pytest.mark.parametrize(("largest", "most"), [(20, 0xFFFF), (1 << 32, 2), (10, 1)])
def test_sizes_beyond_four_gigabytes_have_fields_of_their_own(monkeypatch, largest, most):
    """The limits from which on they are used are lowered, and another library reads them."""
    monkeypatch.setattr(zip_records, "LARGEST", largest)
    monkeypatch.setattr(zip_records, "MOST", most)
    contents, body, entries = [b"a" * 30, b"b" * 5, b"c" * 40], b"", []
    for number, content in enumerate(contents):
        entries.append(Entry(f"{number}.jpg", zlib.crc32(content), len(content), zip_records.FIRST_DAY, len(body)))
        body += local_record(entries[-1]) + content
    listed = b"".join(map(central_record, entries))
    data = body + listed + end_records(len(entries), len(listed), len(body))
    assert b"PK\6\6" in data and list(unpacked(data).values()) == contents


def test_times_are_those_of_the_files(shown, photos):
    os.utime(photos / "b/0.jpg", (1_600_000_000, 1_600_000_000))
    os.utime(photos / "b/2.jpg", (0, 0))
    shown.scan(photos)
    with zipfile.ZipFile(io.BytesIO(sent(chosen(shown, ["b/0.jpg", "b/2.jpg"]).rows))) as archive:
        years = [entry.date_time[0] for entry in archive.infolist()]
    assert years == [2020, 1980]

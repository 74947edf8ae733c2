"""A folder that changes, and the rows of its pictures: what is as it was is not read, what moved is not encoded."""

import os
import shutil

import numpy as np
import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.search.scan.folder import folder_scan
from ernie_vil2.search.scan.ledger import Ledger
from ernie_vil2.search.scan.run import Silent
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.writer import open_writer
from tests.search.scan.conftest import WIDTH, draw, vector_of


def counted(report):
    return {name: report.counts[name] for name in ("new", "moved", "edited", "gone") if report.counts[name]}


def test_rows_say_what_files_are(indexed, photos):
    draw(photos / "wide.jpg", 50, (20, 40))
    os.utime(photos / "wide.jpg", ns=(0, 1_700_000_000_123_456_789))
    report = indexed.scan(photos)
    assert counted(report) == {"new": 13} and report.encoded == 13
    rows = indexed.rows()
    assert sorted(rows) == sorted([f"{'a' if seed % 2 else 'b'}/{seed:03d}.png" for seed in range(12)] + ["wide.jpg"])
    row = rows["wide.jpg"]
    assert (row["width"], row["height"], row["folder"], row["path"]) == (40, 20, "", b"wide.jpg")
    assert (row["mtime"], row["size"]) == (1_700_000_000_123_456_789, (photos / "wide.jpg").stat().st_size)
    assert rows["a/001.png"]["folder"] == "a"


def test_what_has_not_changed_is_not_opened(indexed, photos, monkeypatch):
    indexed.scan(photos)
    before = indexed.state()
    monkeypatch.setattr(folder_scan, "read_picture", lambda *any: pytest.fail("a file was read"))
    report = indexed.scan(photos)
    assert counted(report) == {} and report.counts["same"] == 12 and indexed.state() == before


def test_moved_and_renamed_files_keep_their_rows(indexed, photos):
    indexed.scan(photos)
    before = indexed.ids()
    os.rename(photos / "a", photos / "elsewhere")
    os.rename(photos / "b/000.png", photos / "b/new name.png")
    report = indexed.scan(photos)
    assert counted(report) == {"moved": 7} and report.encoded == 0
    after = indexed.ids()
    assert after["b/new name.png"] == before["b/000.png"]
    assert all(after[f"elsewhere/{seed:03d}.png"] == before[f"a/{seed:03d}.png"] for seed in range(1, 12, 2))
    assert len(after) == 12 and indexed.rows()["elsewhere/001.png"]["folder"] == "elsewhere"


def test_files_that_changed_names_in_a_ring_keep_their_rows(indexed, photos):
    indexed.scan(photos)
    before = indexed.ids()
    names = [photos / f"b/{seed:03d}.png" for seed in range(0, 12, 2)]
    os.rename(names[-1], photos / "b/last")
    for one, other in zip(names[-2::-1], names[:0:-1], strict=True):
        os.rename(one, other)
    os.rename(photos / "b/last", names[0])
    for name in names:
        os.utime(name)
    report = indexed.scan(photos)
    after = indexed.ids()
    assert report.encoded == 0 and set(after) == set(before)
    assert after["b/002.png"] == before["b/000.png"] and after["b/000.png"] == before["b/010.png"]


def test_copies_are_rows_and_encoded_once(indexed, photos):
    for name in ("c1.png", "c2.png"):
        shutil.copy(photos / "a/001.png", photos / name)
    report = indexed.scan(photos)
    assert counted(report) == {"new": 14} and report.encoded == 12
    shutil.copy(photos / "a/003.png", photos / "later.png")
    report = indexed.scan(photos)
    assert counted(report) == {"new": 1} and report.encoded == 0
    ids = indexed.ids()
    one, other = indexed.images.halves([ids["a/003.png"], ids["later.png"]])
    assert np.array_equal(one, other)


def test_an_edited_file_has_a_new_row_and_no_old_one(indexed, photos):
    indexed.scan(photos)
    before = indexed.ids()["a/001.png"]
    draw(photos / "a/001.png", 99)
    report = indexed.scan(photos)
    assert counted(report) == {"edited": 1} and report.encoded == 1
    ids = indexed.ids()
    assert len(indexed.images) == len(ids) == 12 and ids["a/001.png"] != before
    from ernie_vil2.data.images.decode import decode

    wanted = vector_of(decode(photos / "a/001.png").tobytes()).astype(np.float16)
    assert np.array_equal(indexed.images.halves([ids["a/001.png"]])[0], wanted)


def test_a_touched_file_keeps_its_row_and_is_not_read_again(indexed, photos):
    indexed.scan(photos)
    before = indexed.ids()
    os.utime(photos / "a/001.png", ns=(5, 5))
    report = indexed.scan(photos)
    assert report.counts["touched"] == 1 and report.encoded == 0 and indexed.ids() == before
    assert indexed.scan(photos).counts["same"] == 12


def test_deleted_files_are_gone(indexed, photos):
    indexed.scan(photos)
    shutil.rmtree(photos / "a")
    assert counted(indexed.scan(photos)) == {"gone": 6}
    assert all(key.startswith("b/") for key in indexed.rows())


@pytest.mark.parametrize("away", ["missing", "empty"])
def test_a_disk_that_is_not_mounted_takes_nothing_out(indexed, photos, away):
    indexed.scan(photos)
    before = indexed.state()
    os.rename(photos, photos.with_name("mounted elsewhere"))
    if away == "empty":
        photos.mkdir()
    with pytest.raises(DataError, match="mount the disk|cannot be looked into"):
        indexed.scan(places=[indexed_place(photos)])
    assert indexed.state() == before


def indexed_place(folder):
    from ernie_vil2.search.scan.places import FILES, Place

    return Place(FILES, f'{{"kind": "pictures", "path": "{folder}"}}', str(folder))


def test_one_missing_place_of_several_leaves_the_others(indexed, photos, tmp_path):
    draw(tmp_path / "more/x.png", 100)
    indexed.scan(photos, tmp_path / "more")
    places = [indexed_place(photos), indexed_place(tmp_path / "more")]
    shutil.rmtree(tmp_path / "more")
    draw(photos / "new.png", 101)
    report = indexed.scan(places=places, patient=True)
    assert counted(report) == {"new": 1} and len(report.missing) == 1 and "more" in report.missing[0]
    assert "x.png" in indexed.rows()


def test_a_file_moves_from_one_place_to_another(indexed, photos, tmp_path):
    draw(tmp_path / "more/x.png", 100)
    indexed.scan(photos, tmp_path / "more")
    before = indexed.ids()["a/001.png"]
    os.rename(photos / "a/001.png", tmp_path / "more/001.png")
    report = indexed.scan(photos, tmp_path / "more")
    assert counted(report) == {"moved": 1} and report.encoded == 0
    assert indexed.ids()["001.png"] == before and indexed.rows()["001.png"]["root"] == 1


def test_commits_do_not_change_what_comes_out(indexed, photos, tmp_path):
    indexed.scan(photos)
    whole = indexed.state()
    shutil.rmtree(indexed.place)
    import ernie_vil2.search.scan.folder.folder_scan as module

    before, module.CHUNK_FILES = module.CHUNK_FILES, 3
    try:
        indexed.scan(photos, ledger={"commit_rows": 2})
    finally:
        module.CHUNK_FILES = before
    assert indexed.state() == whole


def test_the_bytes_of_a_chunk_are_bounded(indexed, photos, monkeypatch):
    monkeypatch.setattr(folder_scan, "CHUNK_BYTES", 1500)
    given = []
    encode = indexed.model.encode_image

    def noted(pictures, on_error):
        given.append(sum(map(len, pictures)))
        return encode(pictures, on_error)

    monkeypatch.setattr(indexed.model, "encode_image", noted)
    indexed.scan(photos)
    assert len(given) > 3 and max(given) <= 1500


def test_the_first_pictures_are_read_and_committed_soon(indexed, tmp_path):
    for seed in range(100):
        draw(tmp_path / f"many/{seed:03d}.png", seed)
    now, read = [0.0], []

    class Slow(Silent):
        """A Progress for which each step takes four seconds."""

        def step(self, files, size, bad):
            now[0] += 4
            read.append((files, len(indexed.images)))

    indexed.scan(tmp_path / "many", progress=Slow(), ledger={"commit_seconds": 7.0, "clock": lambda: now[0]})
    assert read == [(32, 0), (64, 0), (4, 96)] and len(indexed.images) == 100


def test_the_time_between_commits_grows_to_what_was_asked_for(indexed):
    now, commits = [0.0], []
    with open_writer(indexed.place, Manifest(width=WIDTH, model={"digest": "d"})) as writer:
        ledger = Ledger(writer, commit_seconds=12.0, clock=lambda: now[0])
        ledger.commit = lambda: (commits.append(now[0]), ledger._begin())
        for second in range(60):
            now[0] = float(second)
            ledger.commit_when_due()
    assert commits == [5, 15, 27, 39, 51]

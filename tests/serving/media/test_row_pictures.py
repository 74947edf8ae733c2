"""Pictures of rows, wherever they lie: of the content that was indexed, and of nothing that a link leads to."""

import json
import os
import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from ernie_vil2.data.sources.scenes.source import SceneSource
from ernie_vil2.data.sources.tar.write import write_shards
from ernie_vil2.errors import DataError, ImageError
from ernie_vil2.serving.media import row_files, source_rows
from ernie_vil2.serving.media.missing import CHANGED, GONE, VECTOR, PictureMissing
from ernie_vil2.serving.media.row_files import RowFiles
from ernie_vil2.serving.media.row_pictures import RowPictures
from ernie_vil2.serving.media.rows import shown_row
from tests.data.videos.drawn import shows, write_video
from tests.serving.media.conftest import colours, encoded


def state_of(call):
    """Why there is nothing to show."""
    with pytest.raises(PictureMissing) as missing:
        call()
    return missing.value.state


def test_bytes_are_those_of_the_files_whatever_their_names(shown, photos):
    shown.scan(photos)
    for key, record in shown.rows().items():
        if record["time"] is None:
            assert shown.picture(key) == open(os.path.join(os.fsencode(photos), record["path"]), "rb").read()


def test_frames_of_a_video_are_shown_at_their_times(shown, photos):
    shown.scan(photos)
    assert shows(shown.picture("clip.mp4@0.0s"), 0) and shows(shown.picture("clip.mp4@2.0s"), 10)


def test_a_video_that_was_exchanged_is_not_shown(shown, photos):
    shown.scan(photos)
    row = shown.row("clip.mp4@2.0s")
    write_video(photos / "clip.mp4", count=20)
    assert state_of(lambda: RowPictures().picture(row)) == CHANGED


def test_rows_that_hold_their_picture_are_found_in_their_source(shown, table, tmp_path):
    shown.scan(tmp_path / "rows.jsonl")
    pictures = RowPictures()
    assert {key: pictures.picture(shown.row(key)) for key in table} == table


def test_rows_of_tars_and_drawn_scenes_are_found(shown, table, tmp_path):
    from ernie_vil2.data.sources.open import open_source

    write_shards(open_source(tmp_path / "rows.jsonl"), tmp_path / "tars")
    scenes = "scenes:split=test,size=4,image_size=48"
    shown.scan(tmp_path / "tars", scenes)
    found = {key: shown.picture(key) for key, row in shown.rows().items()}
    assert [one for one in found.values() if isinstance(one, bytes)] == list(table.values())
    drawn = SceneSource(split="test", size=4, image_size=48)
    for row in range(4):
        assert np.array_equal(found[drawn.key(row)], drawn[row].image)


def test_rows_of_parquet_files_are_found_by_their_ids_and_by_their_place(shown, table, tmp_path):
    pictures = list(table.values())
    columns = {"image": pictures, "text": list(table), "id": ["a", None, *["b"] * (len(pictures) - 2)]}
    rows = {"a": 0, "b": 2, f"{tmp_path}/set.parquet#2": 1}
    pq.write_table(pa.table(columns).slice(0, 3), tmp_path / "set.parquet", row_group_size=2)
    shown.scan(tmp_path / "set.parquet")
    assert {key: shown.picture(key) for key in shown.rows()} == {key: pictures[row] for key, row in rows.items()}


def test_a_source_is_opened_once_and_anew_when_it_has_changed(shown, table, tmp_path, monkeypatch):
    path = tmp_path / "rows.jsonl"
    shown.scan(path)
    opened, real = [], source_rows.OpenSource
    monkeypatch.setattr(source_rows, "OpenSource", lambda source: opened.append(source) or real(source))
    pictures, rows = RowPictures(), {key: shown.row(key) for key in table}
    for key in table:
        assert pictures.picture(rows[key]) == table[key]
    assert len(opened) == 1
    lines = path.read_text("utf-8").splitlines()[::-1]
    path.write_text("".join(f"{line}\n" for line in lines[:-1]), encoding="utf-8")
    assert pictures.picture(rows["row 3"]) == table["row 3"] and len(opened) == 2
    assert state_of(lambda: pictures.picture(rows["row 0"])) == GONE
    path.unlink()
    assert state_of(lambda: RowPictures().picture(rows["row 3"])) == GONE


def test_a_key_is_looked_for_where_it_should_be_and_then_everywhere(shown, table, tmp_path, monkeypatch):
    """Keys of rows near by, and the digests of pictures, decide; how far a row has moved does not matter."""
    shown.scan(tmp_path / "rows.jsonl")
    pictures, looked, real = RowPictures(), [], source_rows.key_of
    monkeypatch.setattr(source_rows, "key_of", lambda *given: looked.append(given[1]) or real(*given))
    assert pictures.picture(shown.row("row 4")) == table["row 4"] and looked == [4]
    monkeypatch.setattr(source_rows, "NEAR", 1)
    assert pictures.picture(replace(shown.row("row 1"), rank=4)) == table["row 1"]
    assert sorted(looked[1:]) == [0, 1, 2, 3, 3, 4, 4]


def test_another_picture_under_the_same_id_is_not_shown(shown, table, tmp_path):
    path = tmp_path / "rows.jsonl"
    shown.scan(path)
    row = shown.row("row 1")
    lines = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    lines[1]["image_base64"] = lines[2]["image_base64"]
    path.write_text("".join(f"{json.dumps(line)}\n" for line in lines), encoding="utf-8")
    assert state_of(lambda: RowPictures().picture(row)) == CHANGED


def test_vectors_alone_have_nothing_to_show(shown, vectors):
    shown.scan(places=[vectors])
    assert state_of(lambda: shown_row(shown.view, shown.ids()["v1"])) == VECTOR
    with pytest.raises(DataError):
        shown_row(shown.view, 99)


def test_a_file_that_is_gone_moved_or_edited(shown, photos):
    shown.scan(photos)
    gone, edited, touched, same = (shown.row(key) for key in ("b/0.jpg", "b/2.jpg", "b/4.jpg", "上海/1.jpg"))
    (photos / "b/0.jpg").unlink()
    (photos / "b/2.jpg").write_bytes(encoded(colours(5), "JPEG"))
    os.utime(photos / "b/4.jpg")
    files = RowFiles()
    assert state_of(lambda: files.open(gone)) == GONE and state_of(lambda: files.open(edited)) == CHANGED
    for row in (touched, same):
        with files.open(row) as file:
            assert file.size == row.size


def test_a_file_of_equal_size_and_time_but_other_bytes_makes_no_thumbnail(shown, photos):
    shown.scan(photos)
    row, path = shown.row("b/0.jpg"), photos / "b/0.jpg"
    status = path.stat()
    path.write_bytes(bytes(len(path.read_bytes())))
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert state_of(lambda: RowPictures().picture(row)) == CHANGED


def exchanged(folder, secret, how):
    """Put something else into the place of the folder's `b/0.jpg`."""
    path = folder / "b/0.jpg"
    if how == "link":
        path.unlink()
        path.symlink_to(secret)
    elif how == "link of a folder":
        (folder / "b").rename(folder.parent / "b was here")
        (folder / "b").symlink_to(secret.parent)
    elif how == "link to its own copy":
        shutil.move(path, secret)
        path.symlink_to(secret)
    elif how == "pipe":
        path.unlink()
        os.mkfifo(path)
    elif how == "folder":
        path.unlink()
        path.mkdir()


@pytest.mark.parametrize("how", ["link", "link of a folder", "link to its own copy", "pipe", "folder"])
def test_nothing_but_a_file_below_the_folder_is_opened(shown, photos, tmp_path, how):
    shown.scan(photos)
    row = shown.row("b/0.jpg")
    secret = tmp_path / "secret/0.jpg"
    secret.parent.mkdir()
    shutil.copy2(photos / "b/0.jpg", secret)  # as large and as old as what was indexed
    exchanged(photos, secret, how)
    assert state_of(lambda: RowFiles().open(row)) == GONE


def test_a_link_that_is_put_there_between_two_looks_leads_nowhere(shown, photos, tmp_path, monkeypatch):
    shown.scan(photos)
    row, real = shown.row("b/0.jpg"), os.open
    (tmp_path / "secret").mkdir()
    shutil.copy2(photos / "b/0.jpg", tmp_path / "secret/0.jpg")

    def racing(path, flags, *rest, **named):
        if path == b"b":  # the folder above is open, and is exchanged now
            (photos / "b").rename(tmp_path / "away")
            (photos / "b").symlink_to(tmp_path / "secret")
        return real(path, flags, *rest, **named)

    monkeypatch.setattr(row_files.os, "open", racing)
    assert state_of(lambda: RowFiles().open(row)) == GONE


def test_files_that_links_lead_to_are_shown_where_the_source_says_so_if_their_content_is_known(shown, photos, tmp_path):
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(encoded(colours(5), "JPEG"))
    (photos / "linked.jpg").symlink_to(outside)
    shown.scan(json.dumps({"kind": "pictures", "path": str(photos), "allow_outside": True}))
    row, files = shown.row("linked.jpg"), RowFiles()
    files.open(row).close()
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(outside.stat().st_size))
    os.utime(secret, ns=(0, row.mtime))
    (photos / "linked.jpg").unlink()
    (photos / "linked.jpg").symlink_to(secret)
    assert state_of(lambda: files.open(row)) == CHANGED


def test_the_content_of_a_file_behind_links_is_compared_once(shown, photos, tmp_path, monkeypatch):
    shown.scan(json.dumps({"kind": "pictures", "path": str(photos), "allow_outside": True}))
    row, files, read = shown.row("b/0.jpg"), RowFiles(), []
    monkeypatch.setattr(row_files, "digest_of_file", lambda *given: read.append(given) or row.digest)
    for _ in range(3):
        files.open(row).close()
    assert len(read) == 1


@pytest.mark.parametrize("path", [b"../secret", b"b/../../secret", b"/etc/passwd", b"", b"b/..", b"."])
def test_a_path_of_a_damaged_index_leads_nowhere(photos, tmp_path, path):
    (tmp_path / "secret").write_bytes(b"x")
    with pytest.raises(OSError):
        os.close(row_files.opened_below(str(photos), path))


def test_files_that_have_grown_too_large_are_not_read(shown, photos):
    shown.scan(photos)
    row, path = shown.row("b/0.jpg"), photos / "b/0.jpg"
    os.truncate(path, 70 << 20)
    os.utime(path, ns=(0, row.mtime))
    with pytest.raises((PictureMissing, ImageError)):
        RowPictures().picture(row)

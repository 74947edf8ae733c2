"""What is damaged, foreign, newer, or in use is one sentence, and stays as it is."""

import json
import os
import subprocess
import sys
from contextlib import suppress

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, DataError, UserError
from ernie_vil2.files.json_files import with_checksum, without_checksum
from ernie_vil2.search.store.check import check
from ernie_vil2.search.store.manifest import MANIFEST
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.conftest import ROOT
from tests.search.store.indexes import content, manifest, pictures, sentences, unit


@pytest.fixture
def folder(tmp_path):
    """A small index with a part of every kind."""
    with open_writer(tmp_path / "index", manifest()) as writer:
        writer.root("图", "/图", "folder")
        writer.add_texts(sentences(range(3)), unit(range(3)))
        writer.add(pictures(range(40), texts=lambda number: (number % 3,)), unit(range(40)))
        writer.commit()
        writer.change([5], pictures([50]))
        writer.remove([7, 9])
        writer.commit()
    return tmp_path / "index"


def rewritten(folder, **fields):
    """The manifest with other fields, under a right checksum."""
    path = folder / MANIFEST
    content = without_checksum(json.loads(path.read_text("utf-8")))
    path.write_text(json.dumps(with_checksum({**content, **fields})), "utf-8")


def sentence(function, *arguments):
    with pytest.raises(UserError) as error:
        function(*arguments)
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    return text


def test_a_newer_format_and_a_foreign_file_are_told_apart_from_damage(folder, tmp_path):
    rewritten(folder, format=2)
    assert "which a newer version wrote" in sentence(open_snapshot, folder)
    rewritten(folder, kind="playlist")
    assert "not the manifest of an index" in sentence(open_snapshot, folder)
    (tmp_path / "empty").mkdir()
    assert "has no manifest.json, so it is no index" in sentence(open_snapshot, tmp_path / "empty")
    assert "is no folder" in sentence(open_snapshot, tmp_path / "nowhere")


@pytest.mark.parametrize(
    "fields",
    [
        {"format": "1"},
        {"width": 0},
        {"width": "a"},
        {"segments": [{"name": "../..", "rows": {}, "files": {}}]},
        {"segments": [{"name": "0000001", "rows": {"images": 40}, "files": {}}]},
        {"segments": [{"name": "0000001", "rows": {"images": -1}, "files": {}}]},
        {"segments": [{"name": "0000001", "rows": {"images": "40"}, "files": {}}]},
        {"segments": 3},
        {"next_ids": {}},
        {"next_ids": {"image": "1", "text": 3}},
        {"removed": {"file": "../x", "count": 1, "bytes": 1, "sha256": ""}},
        {"neighbours": {"image": {"place": "../.."}}},
        {"neighbours": {"image": 3}},
        {"neighbours": {"image": {"place": "", "bound": "3"}}},
        {"roots": {"a": {}}},
        {"roots": {"0": 3}},
        {"unknown": 1},
    ],
    ids=str,
)
def test_a_manifest_that_says_what_none_can_is_damaged(folder, fields):
    rewritten(folder, **fields)
    sentence(open_snapshot, folder)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", '{"format": 1}', "\0", "{" * 9999])
def test_a_manifest_that_is_none_is_one_sentence(folder, text):
    (folder / MANIFEST).write_text(text, "utf-8")
    sentence(open_snapshot, folder)
    with pytest.raises(UserError), open_writer(folder, manifest()):
        pass
    assert (folder / MANIFEST).read_text("utf-8") == text and (folder / "segments" / "0000001").is_dir()


def test_a_changed_manifest_is_found_by_its_checksum(folder):
    text = (folder / MANIFEST).read_text("utf-8")
    (folder / MANIFEST).write_text(text.replace('"width": 16', '"width": 17'), "utf-8")
    assert "checksum" in sentence(open_snapshot, folder)


def files_of(folder):
    return [path for path in sorted(folder.rglob("*")) if path.is_file() and path.name not in (MANIFEST, "lock")]


def test_every_byte_of_every_file_is_under_a_checksum(folder):
    assert check(folder) == []
    files = files_of(folder)
    assert {path.name for path in files} >= {"images.f16", "images.arrow", "texts.f16", "texts.arrow", "changed.arrow"}
    for path in files:
        old = path.read_bytes()
        for place in np.linspace(0, len(old) - 1, 5).astype(int):
            path.write_bytes(old[:place] + bytes([old[place] ^ 0x55]) + old[place + 1 :])
            try:
                found = check(folder)
            except DataError as error:
                found = [str(error)]
            assert found and all("\n" not in fault for fault in found), (path.name, place)
            with suppress(UserError):  # and nothing worse, of which a crash in Arrow would be one
                part = open_snapshot(folder).part("image")
                part.take(part.live_ids()).to_pylist()
        path.write_bytes(old)
    assert check(folder) == []


@pytest.mark.parametrize("change", ["cut", "longer", "gone"])
def test_a_file_of_another_size_is_seen_when_an_index_is_opened(folder, change):
    for path in files_of(folder):
        old = path.read_bytes()
        path.unlink()
        if change != "gone":
            path.write_bytes(old[:-3] if change == "cut" else old + b"abc")
        assert path.name in sentence(open_snapshot, folder)
        path.write_bytes(old)


def test_vectors_that_lost_their_length_are_seen_when_an_index_is_opened(folder):
    path = folder / "segments" / "0000001" / "images.f16"
    path.write_bytes(bytes(path.stat().st_size))
    assert "not of length 1" in sentence(open_snapshot, folder)


def test_what_rows_say_of_each_other_is_checked(folder):
    with open_writer(folder) as writer:
        writer.add(pictures([1], texts=lambda number: (99,)), unit([1]))
        writer.add([row.__class__(**{**vars(row), "root": 4}) for row in pictures([2])], unit([2]))
        writer.commit()
    found = " ".join(check(folder, whole=False))
    assert "text 99" in found and "root 4" in found and "1 file has several rows, the first one 1 and 40" in found


def test_neighbours_are_looked_at_where_the_rest_is_right(folder):
    assert check(folder, neighbours=lambda snapshot, side: [side]) == ["image", "text"]
    path = folder / "segments" / "0000001" / "texts.arrow"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    try:
        assert "image" not in check(folder, neighbours=lambda snapshot, side: [side])
    except DataError:
        pass


def test_a_folder_of_something_else_never_becomes_an_index(tmp_path):
    (tmp_path / "photo.jpg").write_bytes(b"x")
    with pytest.raises(DataError, match="holds photo.jpg"), open_writer(tmp_path, manifest()):
        pass
    with pytest.raises(DataError, match="is no folder"), open_writer(tmp_path / "photo.jpg", manifest()):
        pass
    with pytest.raises(DataError, match="is no folder, so it is no index"), open_writer(tmp_path / "new"):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["photo.jpg"]


def test_a_second_writer_is_told_at_once_and_a_reader_is_not_kept(folder):
    code = "import sys; from ernie_vil2.search.store.writer import open_writer\nwith open_writer(sys.argv[1]): pass"
    with open_writer(folder) as writer:
        with pytest.raises(DataError, match="another process is writing"), open_writer(folder):
            pass
        done = subprocess.run([sys.executable, "-c", code, str(folder)], cwd=ROOT, capture_output=True, text=True)
        assert "DataError: another process is writing" in done.stderr
        assert len(content(folder)["image"]) == 38
        writer.add(pictures([80]), unit([80]))
        writer.commit()
    assert len(content(folder)["image"]) == 39


def test_a_folder_that_cannot_be_written_is_one_sentence(folder, monkeypatch):
    def refuse(path, flags, *arguments, **options):
        if flags & (os.O_CREAT | os.O_WRONLY | os.O_RDWR):
            raise PermissionError(13, "Permission denied", path)
        return real(path, flags, *arguments, **options)

    real, before = os.open, content(folder)
    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(CheckpointError, match="Permission denied; change its permissions"), open_writer(folder):
        pass
    assert content(folder) == before

"""Sources with captions, and embeddings made elsewhere, as they change between scans."""

import fnmatch
import glob
import json
import os

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources.pictures import CLASH
from ernie_vil2.errors import ConfigError, DataError
from ernie_vil2.search.scan.places import EMBEDDINGS, Place, check_options, place_of, root_named
from ernie_vil2.search.scan.removal import pattern_of, take_back, take_out
from ernie_vil2.search.store.manifest import Manifest
from ernie_vil2.search.store.snapshot import open_snapshot
from ernie_vil2.search.store.writer import open_writer
from tests.search.scan.conftest import WIDTH, draw, vector_of


class Table:
    """A table of pictures in a folder, as rows (picture, text, tags)."""

    def __init__(self, folder):
        self.path = folder / "rows.jsonl"
        self.rows = []
        for seed in range(4):
            draw(folder / f"{seed}.png", seed)

    def write(self, *rows):
        lines = [{"image": name, "text": text, "tags": tags} for name, text, *tags in rows]
        self.path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return self.path


@pytest.fixture
def table(tmp_path):
    (tmp_path / "table").mkdir()
    return Table(tmp_path / "table")


ROWS = [("0.png", "zero", "t"), ("1.png", "one", "t", "u"), ("0.png", "null"), ("2.png", "one")]


def texts(indexed):
    """{key: [(kind, text) of a picture]}."""
    part = open_snapshot(indexed.place).texts
    ids = part.live_ids()
    records = {record.pop("id"): tuple(record.values()) for record in part.take(ids).to_pylist()}
    return {key: [records[number] for number in row["texts"]] for key, row in indexed.rows().items()}


def test_pictures_have_the_texts_of_all_of_their_rows(indexed, table):
    report = indexed.scan(table.write(*ROWS))
    assert texts(indexed) == {
        "0.png": [("caption", "zero"), ("tag", "t"), ("caption", "null")],
        "1.png": [("caption", "one"), ("tag", "t"), ("tag", "u")],
        "2.png": [("caption", "one")],
    }
    assert report.counts["new"] == 3 and report.counts["texts"] == 5 and report.encoded == 3 + 5
    row = indexed.rows()["1.png"]
    assert (row["caption"], row["tags"], row["width"]) == ("one", ["t", "u"], 16)
    assert row["path"] == os.fsencode(table.path.parent / "1.png")
    part = open_snapshot(indexed.place).texts
    assert np.array_equal(part.halves([row["texts"][0]])[0], vector_of(b"one").astype(np.float16))


def test_nothing_is_encoded_twice_and_nothing_read(indexed, table, monkeypatch):
    indexed.scan(table.write(*ROWS))
    before = indexed.ids(), texts(indexed)
    monkeypatch.setattr("ernie_vil2.search.scan.source_scan.read_picture", lambda *any, **all: pytest.fail("read"))
    report = indexed.scan(table.path)
    assert report.encoded == 0 and report.counts["same"] == 3 and (indexed.ids(), texts(indexed)) == before


def test_captions_and_pictures_that_change(indexed, table):
    indexed.scan(table.write(*ROWS))
    before = indexed.ids()
    draw(table.path.parent / "2.png", 50)
    report = indexed.scan(table.write(("0.png", "zero"), ("1.png", "new words", "u"), ("2.png", "one"), ("3.png", "x")))
    after = indexed.ids()
    assert after["0.png"] == before["0.png"] and after["1.png"] == before["1.png"] and after["2.png"] != before["2.png"]
    assert texts(indexed)["0.png"] == [("caption", "zero")]
    assert texts(indexed)["1.png"] == [("caption", "new words"), ("tag", "u")]
    assert indexed.rows()["1.png"]["caption"] == "new words" and len(after) == 4
    assert report.encoded == 2 + 2  # two pictures, two captions
    report = indexed.scan(table.write(("3.png", "x")))
    assert report.counts["gone"] == 3 and set(indexed.ids()) == {"3.png"}
    assert len(open_snapshot(indexed.place).texts) == 1


def test_a_row_whose_file_lies_elsewhere_now_stays_and_says_where(indexed, tmp_path):
    folder = tmp_path / "firm"
    for name in ("2024/春季", "2025/春季"):
        (folder / name).mkdir(parents=True)
    draw(folder / "2024/春季/1.png", 1)
    table = folder / "t.jsonl"
    table.write_text('{"id": "A1", "image": "2024/春季/1.png", "text": "x"}\n')
    indexed.scan(table)
    before = indexed.ids(), indexed.rows()["A1"]
    assert before[1]["folder"] == "2024/春季"
    (folder / "2024/春季/1.png").rename(folder / "2025/春季/1.png")
    os.utime(folder / "2025/春季/1.png", ns=(10**18, 10**18))
    table.write_text(table.read_text().replace("2024", "2025"))
    report = indexed.scan(table)
    assert (report.counts["moved"], report.counts["same"], report.encoded) == (1, 0, 0)
    row = indexed.rows()["A1"]
    assert (indexed.ids(), row["folder"]) == (before[0], "2025/春季")
    assert (row["path"], row["mtime"]) == (os.fsencode(folder / "2025/春季/1.png"), 10**18)
    assert indexed.scan(table).counts["same"] == 1 and indexed.rows()["A1"] == row


def test_without_texts_there_are_pictures_alone(indexed, table):
    place = place_of(str(table.write(*ROWS)), texts=False)
    report = indexed.scan(places=[place])
    assert report.encoded == 3 and len(open_snapshot(indexed.place).texts) == 0
    assert indexed.rows()["0.png"]["caption"] == "zero"
    with pytest.raises(ConfigError, match="other options"):
        check_options(open_snapshot(indexed.place).manifest, place_of(str(table.path)))


def test_one_id_with_two_pictures_is_a_bad_row(indexed, tmp_path):
    for name in "ab":
        draw(tmp_path / f"{name}.png", ord(name))
    lines = [{"image": f"{name}.png", "id": "7", "text": name} for name in "aba"]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    for _ in range(2):
        report = indexed.scan(tmp_path / "t.jsonl")
        assert report.causes == {CLASH: 1} and texts(indexed) == {"7": [("caption", "a")]}


def test_rows_that_hold_a_bad_picture_are_tried_once(indexed, tmp_path):
    import base64

    line = {"image_base64": base64.b64encode(b"no picture at all").decode(), "id": "x", "text": "words"}
    (tmp_path / "t.jsonl").write_text(json.dumps(line) + "\n")
    assert indexed.scan(tmp_path / "t.jsonl").encoded == 2
    report = indexed.scan(tmp_path / "t.jsonl")
    assert report.encoded <= 1 and report.causes.total() == 1


def test_drawn_scenes_are_a_source_too(indexed):
    report = indexed.scan("scenes:size=5,image_size=24")
    assert report.counts["new"] == 5 and indexed.scan("scenes:size=5,image_size=24").encoded == 0


def test_what_cannot_be_a_place_is_one_sentence(tmp_path):
    (tmp_path / "words.txt").write_text("a\nb\n")
    draw(tmp_path / "a.png", 1)
    for spec, said in (
        ("words.txt", "captions and no pictures"),
        ("a.png", "one picture"),
        ("missing", "no such file"),
    ):
        with pytest.raises(DataError, match=said):
            place_of(str(tmp_path / spec))


# Embeddings


def embeddings(folder, ids, seeds):
    folder.mkdir(exist_ok=True)
    vectors = np.random.default_rng(0).normal(size=(50, WIDTH)).astype(np.float32)[list(seeds)]
    np.save(folder / "image.npy", vectors)
    (folder / "image_ids.txt").write_text("".join(f"{key}\n" for key in ids))
    return Place(EMBEDDINGS, str(folder), str(folder)), vectors


def test_embeddings_are_taken_over_and_kept_up_to_date(indexed, tmp_path):
    place, vectors = embeddings(tmp_path / "e", "abc", range(3))
    indexed.scan(places=[place])
    before = indexed.ids()
    found = indexed.images.vectors([before[key] for key in "abc"])
    assert np.allclose(found, vectors / np.linalg.norm(vectors, axis=1, keepdims=True), atol=1e-3)
    embeddings(tmp_path / "e", "bcd", (1, 9, 3))
    report = indexed.scan(places=[place])
    after = indexed.ids()
    assert set(after) == set("bcd") and after["b"] == before["b"] and after["c"] != before["c"]
    assert report.counts["gone"] == 1 and report.counts["new"] == 2


def test_embeddings_that_are_wrong_are_told(indexed, tmp_path):
    place, vectors = embeddings(tmp_path / "e", "abca", range(4))
    vectors[1] = 0
    vectors[2, 3] = np.nan
    np.save(tmp_path / "e/image.npy", vectors)
    report = indexed.scan(places=[place])
    assert report.causes == {"bad vector": 2, "id twice": 1} and set(indexed.rows()) == {"a"}
    for name, content, said in (
        ("image.npy", np.zeros((4, 3), np.float32), "vectors of 3 values, and the index 16"),
        ("image.npy", np.zeros((4, WIDTH), np.int64), "int64 of shape"),
        ("image.npy", np.zeros((2, WIDTH), np.float32), "was cut"),
    ):
        np.save(tmp_path / "e" / name, content)
        with pytest.raises(DataError, match=said):
            indexed.scan(places=[place])


# What is taken out


def taken_out(indexed, *given):
    with open_writer(indexed.place, Manifest(width=WIDTH)) as writer:
        return take_out(writer, *given)


def test_what_is_taken_out_stays_out_until_it_is_named_again(indexed, photos):
    indexed.scan(photos)
    ids = indexed.ids()
    assert taken_out(indexed, None, ["a/*"], []) == 6
    assert taken_out(indexed, None, [], [ids["b/000.png"]]) == 1
    os.rename(photos / "b/002.png", photos / "b/moved.png")
    report = indexed.scan(photos)
    assert report.counts["new"] == 0 and len(indexed.rows()) == 5
    with open_writer(indexed.place) as writer:
        take_back(writer, 0)
        writer.commit()
    assert indexed.scan(photos).counts["new"] == 7


@given(
    st.lists(st.text("a*?[]b/", max_size=4)), st.lists(st.text("a*?[]b/", max_size=4)), st.text("a*?[]b/", max_size=4)
)
def test_names_and_patterns_are_like_what_they_say(names, patterns, key):
    left_out = pattern_of([*map(glob.escape, names), *patterns])
    assert bool(left_out(key)) == (key in names or any(fnmatch.fnmatchcase(key, pattern) for pattern in patterns))


def test_a_source_goes_with_all_of_its_rows(indexed, photos, table):
    indexed.scan(photos, table.write(*ROWS))
    manifest = open_snapshot(indexed.place).manifest
    assert root_named(manifest, str(photos)) == 0 and root_named(manifest, str(table.path)) == 1
    assert taken_out(indexed, 0, [], []) == 12
    assert set(indexed.rows()) == {"0.png", "1.png", "2.png"}
    assert list(open_snapshot(indexed.place).manifest.roots) == [1]


def test_what_is_not_there_cannot_be_taken_out(indexed, photos):
    indexed.scan(photos)
    with pytest.raises(DataError, match="no picture 99"):
        taken_out(indexed, None, [], [99])
    with pytest.raises(DataError, match="is like 'z"):
        taken_out(indexed, None, ["z*"], [])
    with pytest.raises(DataError, match="no source 'elsewhere'; its sources are .*photos"):
        root_named(open_snapshot(indexed.place).manifest, "elsewhere")

"""A source in two parts: by image, in the share that was asked for, and more rows move none of the old ones."""

import base64
import json
import os
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.cli.data.main import main
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.split import image_bytes, in_valid, write_split
from ernie_vil2.errors import ConfigError, DataError, UserError

IMAGES = 120


def picture(number):
    return b"\xff\xd8\xff" + number.to_bytes(4, "big") * 20


def rows_of(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """JSON lines of images with two rows each; every tenth is a copy of the image before it, under another id."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photos").mkdir()
    rows = []
    for number in range(IMAGES):
        (tmp_path / f"photos/{number}.jpg").write_bytes(picture(number - (number % 10 == 9)))
        boxes = {"boxes": [[0, 0, number + 2.5, 9]]} if number % 3 else {}
        rows.append({"image": f"photos/{number}.jpg", "texts": [f"图{number}", "['"[: number % 2] + "x"], **boxes})
        rows.append({"image": f"photos/{number}.jpg", "text": f"又{number}", "tags": ["猫", "a, b"]})
    write(tmp_path, rows)
    return tmp_path


def write(folder, rows):
    (folder / "a.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows), encoding="utf-8")


def contents(source):
    samples = [replace(sample, image=image_bytes(sample), where="") for sample in open_source(source)]
    return [(sample.id, sample.image, sample.texts, sample.tags, sample.boxes) for sample in samples]


def split(source="a.jsonl", share=0.3, **options):
    return write_split(open_source(source), "t.jsonl", "v.jsonl", share, **options)


@pytest.mark.parametrize("embed", [False, True])
def test_every_row_is_on_one_side_with_all_that_it_has(folder, embed):
    done = split(embed=embed)
    train, valid = contents("t.jsonl"), contents("v.jsonl")
    assert sorted(map(repr, train + valid)) == sorted(map(repr, contents("a.jsonl")))
    assert (
        (done.train.rows, done.valid.rows) == (len(train), len(valid)) == (2 * done.train.images, 2 * done.valid.images)
    )
    whole = contents("a.jsonl")
    assert [whole.index(row) for row in valid] == sorted(whole.index(row) for row in valid)  # in the same order
    for field in (0, 1):  # neither an id nor a picture is on both sides
        assert not {row[field] for row in train} & {row[field] for row in valid}
    assert 0.15 < done.valid.images / IMAGES < 0.45 and not done.bad


@given(st.integers())
@settings(max_examples=20)
def test_the_share_is_kept_and_grows_by_moving_from_one_side_alone(seed):
    for share in (0.01, 0.1, 0.5, 0.9):
        found = [in_valid(f"{key:032x}", share, seed) for key in range(500)]
        assert abs(np.mean(found) - share) < 0.15
        assert all(in_valid(f"{key:032x}", min(1, share * 1.5), seed) for key in range(500) if found[key])


def test_rows_that_come_later_move_none(folder):
    split()
    before = {name: rows_of(folder / name) for name in ("t.jsonl", "v.jsonl")}
    (folder / "photos/new.jpg").write_bytes(picture(7777))
    rows = rows_of(folder / "a.jsonl")
    write(folder, [{"image": "photos/new.jpg", "text": "新"}, *rows, {"image": "photos/3.jpg", "text": "三"}])
    split()
    for name, old in before.items():
        new = rows_of(folder / name)
        assert [row for row in new if row in old] == old and len(new) <= len(old) + 2


def test_the_side_of_a_picture_is_the_same_in_every_form_of_source(folder):
    split()
    sides = {row["id"]: name for name in ("t.jsonl", "v.jsonl") for row in rows_of(folder / name)}
    lines = []
    for number in range(IMAGES):
        data = base64.b64encode((folder / f"photos/{number}.jpg").read_bytes()).decode()
        lines.append(f"x\tphotos/{number}.jpg\t{data}\n")
    (folder / "b.tsv").write_text("".join(reversed(lines)))
    split("b.tsv")
    for name in ("t.jsonl", "v.jsonl"):
        assert all(sides[row["id"]] == name and "image_base64" in row for row in rows_of(folder / name))
    split(seed=1)
    assert {row["id"]: name for name in ("t.jsonl", "v.jsonl") for row in rows_of(folder / name)} != sides


def test_drawn_images_are_written_as_they_are_drawn(folder):
    scenes = open_source("scenes:size=30,image_size=24")
    write_split(scenes, "t.jsonl", "v.jsonl", 0.5)
    found = [sample for name in ("t.jsonl", "v.jsonl") for sample in open_source(name)]
    assert sorted((sample.id, sample.texts, sample.tags, sample.boxes) for sample in found) == sorted(
        (sample.id, sample.texts, sample.tags, sample.boxes) for sample in scenes
    )


def test_bad_rows_and_second_pictures_of_an_id_are_left_out(folder):
    rows = rows_of(folder / "a.jsonl")
    bad = [{"image": "none.jpg", "text": "x"}, {"image": "photos/1.jpg", "text": " "}]
    clash = [{"id": "photos/1.jpg", "image": "photos/2.jpg", "text": "x"}]
    write(folder, rows[:40] + bad + clash)
    done = split()
    assert done.bad == 3 and done.train.rows + done.valid.rows == 40
    assert "another picture" in done.reasons[2] and "none.jpg" in done.reasons[0]


@pytest.mark.parametrize("share", [0, 1, -0.1, 1.5, float("nan"), float("inf"), "x", None])
def test_a_share_is_between_0_and_1(folder, share):
    with pytest.raises(ConfigError, match="the share is .*; give a number between 0 and 1"):
        split(share=share)


def test_nothing_is_written_where_a_side_would_be_empty(folder):
    for share, name, other in ((1e-9, "v.jsonl", "larger"), (1 - 1e-9, "t.jsonl", "smaller")):
        with pytest.raises(DataError, match=f"none of its 120 images falls to {name} .*; give a {other} share"):
            split(share=share)
    write(folder, [{"image": "none.jpg", "text": "x"}])
    with pytest.raises(DataError, match=r"the first bad row: a.jsonl:1: .*none.jpg"):
        split()
    assert sorted(os.listdir(folder)) == ["a.jsonl", "photos"]


def test_rows_stand_where_their_readers_find_the_images(folder):
    (folder / "parts").mkdir()
    with pytest.raises(ConfigError, match="does not lie below parts, where the rows .*--embed"):
        write_split(open_source("a.jsonl"), "parts/t.jsonl", "v.jsonl", 0.5)
    write_split(open_source("a.jsonl"), "parts/t.jsonl", "v.jsonl", 0.5, embed=True)
    with pytest.raises(ConfigError, match="t.tsv: a part is written as JSON lines; name it t.jsonl"):
        write_split(open_source("a.jsonl"), "t.tsv", "v.jsonl", 0.5)
    (folder / "link").symlink_to(folder)
    write_split(open_source(folder / "a.jsonl"), "link/t.jsonl", folder / "v.jsonl", 0.5)
    assert len(contents("link/t.jsonl")) + len(contents("v.jsonl")) == 2 * IMAGES


def test_the_verb_tells_what_it_wrote_and_replaces_nothing(folder, capsys):
    assert not main(["split", "a.jsonl", "t.jsonl", "v.jsonl", "--share", "0.25"])
    text, images = capsys.readouterr().out, len({row["id"] for row in rows_of(folder / "v.jsonl")})
    assert f"v.jsonl: {2 * images:,} rows of {images} images ({images / IMAGES:.1%})\n" in text
    kept = (folder / "v.jsonl").read_bytes()
    for words in (
        ["a.jsonl", "t.jsonl", "w.jsonl"],
        ["a.jsonl", "a.jsonl", "w.jsonl"],
        ["a.jsonl", "w.jsonl", "w.jsonl"],
    ):
        with pytest.raises(ConfigError):
            main(["split", *words])
    with pytest.raises(UserError, match="does not exist; create it first"):
        main(["split", "a.jsonl", "no/t.jsonl", "w.jsonl"])
    assert not (folder / "w.jsonl").exists()
    assert not main(["split", "a.jsonl", "t.jsonl", "v.jsonl", "--share", "0.25", "--replace"])
    assert (folder / "v.jsonl").read_bytes() == kept

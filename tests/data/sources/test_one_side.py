"""Sources of pictures alone and of captions alone: what they hold, what they say, and who refuses them."""

import os

import pytest

from ernie_vil2.data.check.check import check
from ernie_vil2.data.sources.open import open_pairs, open_source
from ernie_vil2.data.sources.tar.write import write_shards
from ernie_vil2.data.split import write_split
from ernie_vil2.errors import ConfigError, DataError


@pytest.fixture
def photos(tmp_path, random_image, image_bytes):
    """A folder with five pictures in three folders, litter, and other files."""
    for seed, name in enumerate(("b.jpg", "a/2.png", "a/10.JPG", "a/猫.png", "z/deep/no_suffix")):
        place = tmp_path / "photos" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(image_bytes(random_image(30, 40, seed)))
    for litter in (".DS_Store", "__MACOSX/c.jpg", "a/Thumbs.db", "a/._b.jpg", "a/notes.md"):
        place = tmp_path / "photos" / litter
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(b"x")
    return tmp_path / "photos"


IDS = ["b.jpg", "a/10.JPG", "a/2.png", "a/猫.png", "z/deep/no_suffix"]


def test_a_folder_of_pictures_is_a_source_of_images_alone(photos):
    source = open_source(photos)
    assert [(sample.id, sample.texts, sample.image) for sample in source] == [(key, (), photos / key) for key in IDS]
    assert [source.key(row) for row in range(5)] == IDS and source.sides == ("image",)
    assert [source.where(row) for row in range(5)] == [f"{photos}/{key}" for key in IDS]
    assert source.describe() == f"{photos}: 5 pictures, no captions: pictures alone"
    (note,) = source.notes
    assert "1 file that is no picture is passed over, for example a/notes.md" in note and "metadata" in note
    assert [sample.id for sample in open_source({"kind": "pictures", "path": str(photos)})] == IDS


def test_captions_win_over_pictures_alone(photos):
    (photos / "a/2.txt").write_text("猫")
    assert [sample.id for sample in open_source(photos)] == ["a/2"]
    (photos / "captions.csv").write_text("image,text\nb.jpg,猫\n")
    assert [sample.texts for sample in open_source(photos)] == [("猫",)]
    assert len(open_source({"kind": "pictures", "path": str(photos)})) == 5


def test_options_of_a_table_ask_for_one(photos):
    with pytest.raises(DataError, match="none of captions.csv"):
        open_source({"path": str(photos), "encoding": "gbk"})


def test_a_folder_without_a_picture_is_one_sentence(tmp_path):
    (tmp_path / "a.md").write_text("x")
    with pytest.raises(DataError, match="no file in it is a picture; name another folder$"):
        open_source({"kind": "pictures", "path": str(tmp_path)})


def test_links_that_lead_out_are_refused_and_followed_when_asked(photos, tmp_path):
    (tmp_path / "other").mkdir()
    os.rename(photos / "b.jpg", tmp_path / "other/b.jpg")
    (photos / "b.jpg").symlink_to(tmp_path / "other/b.jpg")
    (photos / "linked").symlink_to(tmp_path / "other")
    (tmp_path / "other/round").symlink_to(photos)
    errors, source = [], open_source(photos)
    assert [sample.id for sample in source.samples("skip", errors)] == IDS[1:]
    (error,) = errors
    assert error.cause == "unusable path" and "set allow_outside: true" in str(error)
    assert any("1 link to a folder is passed over" in note for note in source.notes)
    allowed = open_source({"path": str(photos), "allow_outside": True})
    assert [sample.id for sample in allowed] == ["b.jpg", *IDS[1:4], "linked/b.jpg", IDS[4]]


def test_what_is_no_file_or_has_an_odd_name_is_told(photos):
    os.mkfifo(photos / "pipe.png")
    os.rename(photos / "b.jpg", os.path.join(os.fsencode(photos), b"\xff\xfe.jpg"))
    source, errors = open_source(photos), []
    found = [sample.id for sample in source.samples("skip", errors)]
    assert len(found) == 5 and "\\xff\\xfe.jpg" in found and len(errors) == 1
    assert "pipe.png is not a regular file" in str(errors[0])


def test_a_text_file_is_a_source_of_captions_alone(tmp_path):
    path = tmp_path / "queries.txt"
    path.write_bytes("一只猫\r\n\n['狗', '两只狗']\nred, \"round\"\tthing\n\u3000\n".encode())
    source, errors = open_source(path), []
    found = [(sample.id, sample.texts, sample.image) for sample in source.samples("skip", errors)]
    assert found == [("1", ("一只猫",), None), ("3", ("狗", "两只狗"), None), ("4", ('red, "round"\tthing',), None)]
    assert [error.where for error in errors] == [f"{path}:5"] and source.sides == ("text",)
    path.write_bytes("一只猫在桌子上睡觉\n红色的圆在左边\n".encode("gbk"))
    assert [sample.texts for sample in open_source(path)] == [("一只猫在桌子上睡觉",), ("红色的圆在左边",)]


def test_joined_their_ids_are_told_apart_and_sides_are_known(photos, tmp_path):
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text("猫\n")
    texts = open_source([str(tmp_path / "a.txt"), str(tmp_path / "b.txt")])
    assert [texts.key(row) for row in range(2)] == [f"{tmp_path}/{name}.txt#1" for name in "ab"]
    assert [texts.own_id(row, texts.key(row)) for row in range(2)] == ["1", "1"] and texts.sides == ("text",)
    (tmp_path / "rows.jsonl").write_text('{"image": "photos/b.jpg", "text": "猫"}\n')
    joined = open_source([str(tmp_path / "rows.jsonl"), str(photos)])
    assert joined.key(0) == f"{tmp_path}/photos/b.jpg" and joined.key(1) == f"{photos}/b.jpg"
    assert joined.own_id(1, joined.key(1)) == "b.jpg"
    assert joined.sides == ("image", "text") and joined.lacking("text") == [str(photos)] and not joined.lacking("image")
    beside = open_source([str(tmp_path / "rows.jsonl"), str(tmp_path / "a.txt")])
    assert [beside.key(row) for row in range(2)] == ["photos/b.jpg", f"{tmp_path}/a.txt#1"]
    tags = tmp_path / "tags.jsonl"
    tags.write_text('{"id": "b.jpg", "tags": ["猫"]}\n')
    tagged = open_source({"path": str(photos), "tags": str(tags)})
    assert tagged[0].tags == ("猫",) and tagged.lacking("text") == [str(photos)]


def test_what_needs_both_refuses_one_before_it_writes(photos, tmp_path):
    mixed = {"kind": "mix", "sources": [{"source": "scenes:size=3"}, {"source": str(photos)}]}
    for spec in (str(photos), mixed):
        with pytest.raises(DataError, match="photos has no captions, which training needs; give a source that has"):
            open_pairs(spec)
    assert len(open_pairs("scenes:size=3")) == 3
    with pytest.raises(DataError, match="has no captions, which a tar of samples needs"):
        write_shards(open_source(photos), tmp_path / "shards")
    with pytest.raises(DataError, match="has no captions, which a part to train on needs"):
        write_split(open_source(photos), tmp_path / "train.jsonl", tmp_path / "valid.jsonl", 0.5)
    assert sorted(path.name for path in tmp_path.iterdir() if path.name != "photos") == []


def test_a_check_reports_pictures_and_no_texts(photos, tmp_path):
    (photos / "copy.jpg").write_bytes((photos / "b.jpg").read_bytes())
    (photos / "broken.jpg").write_bytes(b"no picture")
    report = check(open_source(photos))
    assert (report.checked, report.samples, report.bad, report.images, report.texts) == (7, 6, 1, 6, 0)
    assert report.same_image.count == 1 and report.bad_rows[0].where == f"{photos}/broken.jpg"
    assert report.same_image.examples == [(f"{photos}/copy.jpg", f"{photos}/b.jpg")]
    text = str(report)
    assert "texts            none: pictures alone" in text and "characters" not in text and "image width" in text
    (tmp_path / "queries.txt").write_text("猫\n")
    with pytest.raises(DataError, match="has no images, which a check needs"):
        check(open_source(tmp_path / "queries.txt"))


def test_a_row_without_captions_does_not_shift_the_places_of_others(photos, tmp_path):
    """A repeated caption is named by its row, whatever rows without captions, and bad ones, lie before it."""
    (photos / "a.jpg").write_bytes(b"no picture")
    lines = ['{"image": "photos/b.jpg", "text": "猫"}', '{"image": "photos/a/2.png", "text": "猫"}']
    (tmp_path / "rows.jsonl").write_text("\n".join(lines) + "\n")
    report = check(open_source([str(photos), str(tmp_path / "rows.jsonl")]))
    assert report.same_text.examples == [(f"{tmp_path}/rows.jsonl:2", f"{tmp_path}/rows.jsonl:1")]


def test_an_unknown_option_is_one_sentence(photos):
    with pytest.raises(ConfigError, match="unknown option 'metadta' of a pictures source"):
        open_source({"kind": "pictures", "path": str(photos), "metadta": "x.csv"})

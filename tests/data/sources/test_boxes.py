"""Boxes of an image: from rows, sidecars, tables and files beside a source to a sample, and through shards."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.boxes import checked_boxes
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.tar.write import write_shards
from ernie_vil2.errors import ConfigError, DataError

SOME = ((1.0, 2.0, 30.5, 4.0), (9.0, 9.0, 2.0, 2.0), (-3.0, 0.0, 99.0, 0.0))
"""A plain one, a reversed one, and one that leaves its image and has no area: all are kept as they are"""


@pytest.fixture
def photos(tmp_path, random_image, image_bytes):
    """A folder with the images a.png and sub/b.jpg."""
    (tmp_path / "sub").mkdir()
    for index, name in enumerate(("a.png", "sub/b.jpg")):
        (tmp_path / name).write_bytes(image_bytes(random_image(8, 8, index)))
    return tmp_path


def lines(path, rows):
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return str(path)


side = st.floats(-1e4, 1e4, width=32)
box = st.lists(side, min_size=4, max_size=4)


@given(st.lists(box, max_size=60), st.sampled_from([list, tuple, np.array]))
def test_boxes_come_out_as_they_went_in(boxes, form):
    inside = [value for row in boxes for value in row]
    fractions = any(inside) and all(0 <= value <= 1 for value in inside)
    if fractions:
        with pytest.raises(DataError, match="; multiply them by the image's width and height"):
            checked_boxes(form(boxes))
    else:
        found = checked_boxes(form(boxes))
        assert found.dtype == np.float32 and found.shape == (len(boxes), 4) and found.tolist() == boxes


def test_boxes_under_nought_are_no_fractions():
    assert checked_boxes([[-1, 0, 1, 1]]).tolist() == [[-1, 0, 1, 1]]


@pytest.mark.parametrize(
    "value, words",
    [
        (None, "boxes is of type NoneType"),
        ({"a": 1}, "boxes is of type dict"),
        (np.float32(3), "boxes is of type float32"),
        (np.array(3.0), "boxes is the number 3.0"),
        ([[1, 2, 3, 4], [1, 2, 3]], "box 2 is not four numbers"),
        (np.zeros((2, 3)), "box 1 is not four numbers"),
        ([[1, 2, 3, True]], "box 1 holds a value of type bool"),
        ([[1, 2, 3, None]], "box 1 holds a value of type NoneType"),
        ([[1, 2, 3, float("nan")]], "box 1 holds nan"),
        (np.float32([[1, 2, 3, -np.inf]]), "box 1 holds -inf"),
        ([[1, 2, 3, 10**400]], "box 1 holds 1000"),
        ([[0, 0, 0, 0], [0, 0, 1, 0.5]], r"all boxes lie in \[0, 1\]"),
    ],
)
def test_what_is_no_box_is_a_sentence_with_a_remedy(value, words):
    with pytest.raises(DataError, match=f"^{words}.*; (write|multiply)") as error:
        checked_boxes(value)
    assert len(str(error.value)) < 150


def test_every_kind_of_row_takes_boxes(photos, tmp_path):
    rows = [{"image": "a.png", "text": "x", "boxes": boxes} for boxes in (SOME, [], None)]
    wanted = [SOME, (), None]
    source = open_source(lines(photos / "a.jsonl", rows))
    assert [sample.boxes for sample in source] == wanted
    (photos / "a.csv").write_text('image,text,boxes\na.png,x,"[[1, 2, 30.5, 4]]"\na.png,y,\na.png,z,[]\na.png,w,no\n')
    table, errors = open_source(str(photos / "a.csv")), []
    found = [sample.boxes for sample in table.samples("skip", errors)]
    assert found == [SOME[:1], None, ()] and "boxes is of type str; write a list" in str(errors[0])
    write_shards(source, tmp_path / "shards")  # rows of one image: nothing is lost, and nothing is added
    assert [sample.boxes for sample in open_source(tmp_path / "shards")] == wanted
    stems = tmp_path / "stems"
    stems.mkdir()
    for name, content in (("1", {"texts": ["x"], "boxes": SOME}), ("2", {"texts": ["x"], "boxes": [[0, 0, 1, 1]]})):
        (stems / f"{name}.png").write_bytes((photos / "a.png").read_bytes())
        (stems / f"{name}.json").write_text(json.dumps(content))
    found, errors = list(open_source(stems).samples("skip", errors := [])), errors
    assert [sample.boxes for sample in found] == [SOME]
    assert str(errors[0]).startswith(f"{stems}/2.png: all boxes lie in [0, 1]; ") and errors[0].cause == "bad boxes"


def test_rows_of_the_release_are_read_as_they_are(photos):
    other = ["other", "b"]
    rows = [
        {"image_id": "sub/b.jpg", "sentences": [other, ["surText", "一"], ["surText", "二"]], "bbox": SOME},
        {"image_id": "a.png", "sentences": [["easy", "e"], ["content", "c"], ["sur_text", "s"]], "bbox": []},
        {"image_id": "a.png", "sentences": [other, ["another", "c"]]},
        {"image_id": "sub/b", "captions": ["x", "y"], "bbox": SOME[:1]},
        {"image_id": "a.png", "sentences": [other], "captions": ["z"], "bbox": SOME, "boxes": []},
        {"image": "a.png", "image_id": "b", "text": "z", "sentences": [other], "bbox": "any"},
    ]
    path = lines(photos / "release.jsonl", rows)
    found = [(sample.id, sample.image.name, sample.texts, sample.boxes) for sample in open_source(path)]
    assert found == [
        ("sub/b.jpg", "b.jpg", ("一", "二"), SOME),
        ("a.png", "a.png", ("s",), ()),
        ("a.png", "a.png", ("b",), None),
        ("sub/b.jpg", "b.jpg", ("x", "y"), SOME[:1]),
        ("a.png", "a.png", ("z",), ()),
        ("a.png", "a.png", ("z",), None),  # a row of another kind: image_id and bbox are passed over as before
    ]
    folder = open_source({"kind": "folder", "path": str(photos), "metadata": "release.jsonl"})
    assert list(folder.unused_files()) == [] and [folder.key(row) for row in range(6)] == [row[0] for row in found]


def test_a_kind_of_sentences_can_be_asked_for(photos):
    rows = [{"image_id": "a.png", "sentences": [["easy", "e"], ["sur_text", "s"]]}, {"image": "a.png", "text": "t"}]
    rows.append({"image_id": "a.png", "sentences": [["easy", "e"]]})
    spec, errors = {"path": lines(photos / "r.jsonl", rows), "sentences": "easy"}, []
    assert [sample.texts for sample in open_source(spec)] == [("e",), ("t",), ("e",)]
    only = open_source({**spec, "sentences": "sur_text"})
    assert [sample.texts for sample in only.samples("skip", errors)] == [("s",), ("t",)]
    assert str(errors[0]).startswith(f"{only.where(2)}: the row has no sentence of kind 'sur_text' but [\"easy\"]; ")
    (photos / "captions.csv").write_text("image,text\na.png,x\n")
    with pytest.raises(ConfigError, match="a .csv has no kinds of sentences; leave"):
        open_source({"kind": "folder", "path": str(photos), "metadata": "captions.csv", "sentences": "easy"})


def test_boxes_beside_a_source_replace_those_of_the_ids_that_the_file_knows(photos):
    rows = [{"image": "a.png", "text": "x", "boxes": SOME}, {"image": "sub/b.jpg", "text": "y", "boxes": SOME}]
    path = lines(photos / "a.jsonl", rows)
    boxes = lines(photos / "boxes", [{"id": "a.png", "boxes": [[1, 2, 3, 4]]}, {"id": "other", "boxes": []}])
    tags = lines(photos / "tags", [{"id": "sub/b.jpg", "tags": ["猫"]}])
    source = open_source({"path": path, "boxes": boxes})
    assert [sample.boxes for sample in source] == [((1.0, 2.0, 3.0, 4.0),), SOME]
    assert "boxes of 2 ids from" in source.describe()
    both = open_source({"path": path, "boxes": boxes, "tags": tags})
    assert [(s.boxes, s.tags) for s in both] == [(((1.0, 2.0, 3.0, 4.0),), ()), (SOME, ("猫",))]
    assert "tags of 1 id" in both.describe() and "boxes of 2 ids" in both.describe()
    scenes = open_source(f"scenes:size=2,boxes={lines(photos / 's', [{'id': 'train-0-1', 'boxes': []}])}")
    assert len(scenes[0].boxes) > 0 and scenes[1].boxes == ()


def test_a_bad_file_of_boxes_is_named(photos):
    path = lines(photos / "a.jsonl", [{"image": "a.png", "text": "x"}])
    for number, row in enumerate(({"boxes": []}, {"id": "a.png", "boxes": [[1, 2]]}, {"id": "a.png", "boxes": 1})):
        boxes = lines(photos / f"{number}.boxes", [{"id": "q", "boxes": []}, row])
        with pytest.raises(DataError, match=rf"^{boxes}:2: .*; write .*x1, y1, x2, y2\]") as error:
            open_source({"path": path, "boxes": boxes})[0]
        assert error.value.cause == "bad boxes"
    with pytest.raises(ConfigError, match="boxes: 5 is no file; name the JSON lines that ernie-vil2 data boxes"):
        open_source({"path": path, "boxes": 5})


@pytest.mark.parametrize("size", ["tiny", "full"])
def test_the_release_s_own_input_is_read_whole(shared_parity, size):
    path = shared_parity.parent / "brivl" / size / "input.jsonl"
    if not path.is_file():
        pytest.skip(f"no fixtures of the release at {path}")
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    source = open_source({"path": str(path), "sentences": "sur_text"})
    for sample, row in zip(source, rows, strict=True):
        assert [sample.id, list(map(list, sample.boxes))] == [row["image_id"], row["bbox"]]
        assert list(sample.texts) == [text for kind, text in row["sentences"] if kind == "sur_text"]
        assert sample.image.is_file()

"""Bad rows: each is one sentence with its place and a remedy, and stops no other; images stay in their folder."""

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, DataError


def write(path, text):
    Path(path).write_bytes(text.encode("utf-8") if isinstance(text, str) else text)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("fields")


BAD_TSV = [
    (b"x\t1", "2 columns", "wrong number of columns"),
    (b"only text here, long enough", "1 column ", "wrong number of columns"),
    (b"x\ty\t1\tAAAA", "4 columns", "wrong number of columns"),
    (b"x\xff\t1\tAAAA", "text is not UTF-8 (byte 0xff at position 2)", "bad UTF-8"),
    (b"x\t\xc3(\tAAAA", "image id is not UTF-8", "bad UTF-8"),
    (b"x\t1\tAA*A", "'*' at position 3", "bad base64"),
    (b"x\t1\tAAAAA", "5 characters", "bad base64"),
    (b"x\t1\tAA==AAAA", "padding", "bad base64"),
    (b"x\t1\t  ", "image field is empty", "no image"),
    (b"\t1\tAAAA", "caption is empty", "empty caption"),
    (b" \xe3\x80\x80\t1\tAAAA", "caption is empty", "empty caption"),
    (b"x\t \tAAAA", "id is empty", "bad id"),
    (b"\x00" * 40, "1 column ", "wrong number of columns"),
]
BAD_CSV = [
    (b"a.jpg", "1 column but", "wrong number of columns"),
    (b"a.jpg,one,two", "double quotes", "wrong number of columns"),
    (b"a.jpg,", "caption is empty", "empty caption"),
    (b",x", "has no image", "no image"),
    (b"b.jpg,x", "does not exist", "missing image"),
    (b"a.jpg,\xff", "row is not UTF-8", "bad UTF-8"),
]
BAD_JSONL = [
    (b'{"image": "a.jpg", "text": }', "column 28", "bad JSON"),
    (b'["a.jpg", "text"] ', "instead of an object", "bad JSON"),
    (b"[" * 100_000, "cannot be read", "bad JSON"),
    (b'{"image": "a.jpg", "id": ' + b"9" * 5000 + b"}", "cannot be read", "bad JSON"),
    (b'{"image": "a.jpg", "text": "\xff"}', "not UTF-8", "bad UTF-8"),
    (b'{"image": "a.jpg", "text": "x\\ud800"}', "surrogate", "bad UTF-8"),
    (b'{"img": "a.jpg", "text": "x"}     ', "'img' meant to be 'image'", "no image"),
    (b'{"image": 5, "text": "x"}  ', "image is 5", "no image"),
    (b'{"image": "a.jpg", "image_base64": "AAAA", "text": "x"}', "image and image_base64", "several images"),
    (b'{"image": "a.jpg", "image_base64": "A*", "text": "x"}', "image and image_base64", "several images"),
    (b'{"image_base64": "\xe7\x8c\xab", "text": "x"}', "not base64", "bad base64"),
    (b'{"image": "a.jpg"}    ', "no caption", "no caption"),
    (b'{"image": "a.jpg", "text": "x", "texts": ["y"]}', "text and texts", "several caption fields"),
    (b'{"image": "a.jpg", "texts": []}', "empty list", "empty caption"),
    (b'{"image": "a.jpg", "texts": ["x", "  "]}', "caption is empty", "empty caption"),
    (b'{"image": "a.jpg", "texts": [1]}', "texts is [1]", "no caption"),
    (b'{"image": "a.jpg", "text": "x", "tags": [1]}', "tags is [1]", "bad tags"),
    (b'{"image": "a.jpg", "text": "x", "boxes": [[1, 2, 3]]}', "box 1 is not four numbers", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "boxes": [1, 2, 3, 4]}', "box 1 is not four numbers", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "boxes": 7}', "boxes is of type int; write a list", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "boxes": [[9, 9, 9, 9], [1, 2, 3, NaN]]}', "box 2 holds nan", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "boxes": [[1, 2, 3, 1e999]]}', "box 1 holds inf", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "boxes": [[1, 2, 3, "4"]]}', "box 1 holds a value of type str", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "boxes": [[0, 0, 0.5, 1]]}', "in [0, 1]; multiply them", "bad boxes"),
    (b'{"image_id": "a.jpg", "sentences": "x", "bbox": []}', "sentences is 'x'", "no caption"),
    (b'{"image_id": "a.jpg", "sentences": [], "bbox": []}', "sentences is []", "no caption"),
    (b'{"image_id": "a.jpg", "sentences": [["sur_text"]]}', '["sur_text"] is no [kind, text]', "no caption"),
    (b'{"image_id": "a.jpg", "sentences": [["sur_text", " "]]}', "caption is empty", "empty caption"),
    (b'{"image_id": "b.jpg", "captions": ["x"], "bbox": []}', "'b.jpg' does not exist", "missing image"),
    (b'{"image_id": "a.jpg", "captions": ["x"], "bbox": [[1]]}', "not four numbers", "bad boxes"),
    (b'{"image": "a.jpg", "text": "x", "id": true}', "id is true", "bad id"),
    (b'{"image": "b.jpg", "text": "x"}', "'b.jpg' does not exist", "missing image"),
    (b'{"image": "a.jpg/b", "text": "x"}', "cannot be opened", "unusable image path"),
    (b'{"image": "a\\u0000", "text": "x"}', "null", "unusable image path"),
    (b'{"image": "' + b"n" * 5000 + b'", "text": "x"}', "too long", "unusable image path"),
    (b'{"image": ".", "text": "x"}   ', "lies outside", "image outside the folder"),
    (b'{"image": "empty.jpg", "text": "x"}', "is empty", "unusable image path"),
    (b'{"image": "https://host/a.jpg", "text": "x"}', "download", "unusable image path"),
]


@pytest.mark.parametrize(
    "suffix, good, bad",
    [
        ("tsv", b"x\t1\tAAAA", BAD_TSV),
        ("jsonl", b'{"image": "a.jpg", "text": "x"}', BAD_JSONL),
        ("csv", b"a.jpg,x", BAD_CSV),
    ],
)
def test_bad_rows_are_one_sentence_each_and_stop_nothing(tmp_path, suffix, good, bad):
    write(tmp_path / "a.jpg", b"image")
    write(tmp_path / "empty.jpg", b"")
    body = b"\n".join(line for row in bad for line in (good, row[0]))
    path = write(tmp_path / f"bad.{suffix}", b"image,text\n" + body if suffix == "csv" else body)
    source = open_source(path)
    errors = []
    assert len(list(source.samples(on_error="skip", errors=errors))) == len(bad)
    for number, (error, (_, words, cause)) in enumerate(zip(errors, bad, strict=True)):
        assert (
            str(error).startswith(f"{path}:{2 * number + 2 + (suffix == 'csv')}: ")
            and "; " in str(error)
            and "\n" not in str(error)
        )
        assert words in str(error) and error.cause == cause and len(str(error)) < 400
        assert str(pickle.loads(pickle.dumps(error))) == str(error)
    with pytest.raises(RowError):
        list(source.samples())
    with pytest.raises(ConfigError, match="on_error"):
        source.samples(on_error="ignore")


def test_images_outside_the_folder_are_refused_unless_allowed(tmp_path):
    secret = write(tmp_path / "secret.jpg", b"secret")
    (tmp_path / "set" / "sub").mkdir(parents=True)
    write(tmp_path / "set" / "in.jpg", b"in")
    (tmp_path / "set" / "link.jpg").symlink_to(secret)
    (tmp_path / "set" / "up").symlink_to(tmp_path)
    (tmp_path / "set" / "near.jpg").symlink_to("in.jpg")
    names = [
        "../secret.jpg",
        str(secret),
        "link.jpg",
        "up/secret.jpg",
        "sub/../../secret.jpg",
        "sub/../in.jpg",
        "near.jpg",
        str(tmp_path / "set" / "in.jpg"),
    ]
    path = write(
        tmp_path / "set" / "a.jsonl", "".join(json.dumps({"image": name, "text": "x"}) + "\n" for name in names)
    )
    errors = []
    inside = list(open_source(path).samples(on_error="skip", errors=errors))
    assert [s.image.read_bytes() for s in inside] == [b"in"] * 3 and inside[0].id == "in.jpg"
    assert [error.cause for error in errors] == ["image outside the folder"] * 5
    allowed = open_source({"path": path, "allow_outside": True})
    assert [s.image.read_bytes() for s in allowed] == [b"secret"] * 5 + [b"in"] * 3


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=8), st.sampled_from(["tsv", "jsonl", "csv"]))
def test_random_bytes_raise_nothing_but_data_errors(folder, lines, suffix):
    head = b"image,text\n" if suffix == "csv" else b""
    path = write(folder / f"fuzz.{suffix}", head + b"\n".join(lines))
    try:
        source = open_source(path)
    except DataError as error:
        assert "\n" not in str(error)
        return
    errors = []
    good = list(source.samples(on_error="skip", errors=errors))
    assert len(good) + len(errors) == len(source)
    assert all("\n" not in str(error) and str(path) in str(error) for error in errors)

"""Any bytes in a line or a cell end as a good row or as one sentence with its place; base64 in any form is read."""

import base64
import json
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.rows.images import decode_base64
from ernie_vil2.errors import DataError
from tests.data.sources.test_fields import write

JPEG = b"\xff\xd8\xff\xe0" + bytes(range(256)) * 4
PLAIN = base64.b64encode(JPEG).decode()
PIECES = [
    *(
        mark.encode()
        for mark in (",", ";", "\t", '"', "\n", "\r", "\r\n", "\\", "'", "[", "]", "{", "}", ":", "=", " ")
    ),
    *(word.encode() for word in ("image", "text", "tags", "boxes", "id", "image_id", "sentences", "bbox", "columns")),
    *(word.encode() for word in ("图片", "描述", "a.jpg", "猫", "\ufeff", "\u200b", "\x00", "\ud7ff", "1e999", "NaN")),
    *(word.encode("gbk") for word in ("图片", "描述", "一只猫在草地上")),
    *(
        b"data:image/jpeg;base64,",
        b"data:,x",
        b"data:;base64,%zz",
        b"/9j/" * 20,
        b"C:\\a",
        b"http://a",
        b"['",
        b"('a',)",
    ),
    *(b"\xff\xfe", b"\xff", b"\x80", b"\xed\xa0\x80", b"\\ud800", b"sep=;", b"array(['", b"a" * 300, b"[" * 2000),
]
BYTES = st.lists(st.sampled_from(PIECES) | st.binary(max_size=4), max_size=12).map(b"".join)
HEADS = {
    "csv": [b"", b"image,text\n", "图片;描述;标签\n".encode("gbk"), b"image_base64,text,tags,boxes,id\n"],
    "tsv": [b"", b"text\timage_id\timage\n", b"image\ttext\n", f"猫\t1\t{PLAIN}\n".encode()],
    "jsonl": [b"", b'{"image": "a.jpg", "text": "x"}\n', '{"图片": "a.jpg", "描述": "一只猫"}\n'.encode("gbk")],
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "a.jpg").write_bytes(JPEG)
    return folder


@pytest.mark.parametrize("suffix", HEADS)
@given(st.data())
@settings(max_examples=120)
def test_any_bytes_are_rows_or_sentences(folder, suffix, data):
    head, bodies = data.draw(st.sampled_from(HEADS[suffix])), data.draw(st.lists(BYTES, min_size=1, max_size=5))
    path = write(folder / f"any.{suffix}", head + b"\n".join(bodies))
    try:
        source = open_source(path)
    except DataError as error:
        assert str(path) in str(error) and "; " in str(error) and len(str(error)) <= 480
        return
    errors = []
    good = list(source.samples("skip", errors))
    assert len(good) + len(errors) == len(source) and source.describe() and isinstance(source.notes, list)
    for error in errors:
        assert isinstance(error, RowError) and error.sentence().startswith(str(path)) and len(str(error)) <= 480
    assert all(sample.texts and sample.image for sample in good)
    for row in range(len(source)):
        try:
            source.key(row)
        except DataError as error:
            assert isinstance(error, RowError)


def wrapped(width, end):
    return end.join(PLAIN[start : start + width] for start in range(0, len(PLAIN), width))


FORMS = {
    "plain": PLAIN,
    "lines of MIME": wrapped(76, "\r\n"),
    "a last line break": wrapped(64, "\n") + "\n",
    "blanks": f"  {wrapped(4, ' ')} ",
    "without padding": PLAIN.rstrip("="),
    "url-safe": base64.urlsafe_b64encode(JPEG).decode(),
    "url-safe in lines": base64.urlsafe_b64encode(JPEG).decode().rstrip("=").replace("A", "A\n"),
    "a data URI with blanks": f"data: image/jpeg; base64,%20{PLAIN}",
    "a data URI": f"data:image/jpeg;base64,{PLAIN}",
    "a data URI in capitals": f"DATA:image/JPEG;charset=utf-8;BASE64, {wrapped(76, chr(10))}",
    "a data URI with escapes": "data:;base64," + PLAIN.replace("+", "%2B").replace("/", "%2F").replace("=", "%3D"),
}


@pytest.mark.parametrize("form", FORMS)
def test_base64_is_read_in_any_form(tmp_path, form):
    text = FORMS[form]
    assert decode_base64(text, "x") == decode_base64(text.encode(), "x") == JPEG
    rows = [{"image_base64": text, "text": "x"}] + [{"image": text, "text": "x"}] * (form != "url-safe in lines")
    source = open_source(write(tmp_path / "a.jsonl", "".join(f"{json.dumps(row)}\n" for row in rows)))
    assert [sample.image for sample in source] == [JPEG] * len(rows) and len({sample.id for sample in source}) == 1
    table = write(tmp_path / "a.csv", f'image_base64,text\n"{text}",x\n"{text}",y\n')
    assert [(sample.image, sample.texts) for sample in open_source(table)] == [(JPEG, ("x",)), (JPEG, ("y",))]
    if "\n" not in text:
        assert open_source(write(tmp_path / "a.tsv", f"x\t1\t{text}\n"))[0].image == JPEG


@pytest.mark.parametrize(
    "text, words",
    [
        ("data:image/svg+xml,<svg/>", "is the data URI 'data:image/svg+xml,<svg/>', which has no ';base64,'"),
        ("data:image/jpeg;base64", "the image field is empty"),
        ("data:image/jpeg;base64,", "the image field is empty"),
        ("data:image/jpeg;base64,/9j*", "character '*' at position 27"),
        ("/9j/ 4A*A", "character '*' at position 8"),
    ],
)
def test_what_is_no_base64_is_one_sentence(text, words):
    with pytest.raises(RowError) as caught:
        decode_base64(text, "a.tsv:1")
    assert words in str(caught.value) and str(caught.value).startswith("a.tsv:1: ")


@pytest.mark.parametrize("width", [76, 64, 40, 20])
def test_a_photo_of_any_size_may_stand_in_a_table(tmp_path, width):
    photo = base64.b64encode(JPEG * 300).decode()
    lines = "\n".join(photo[start : start + width] for start in range(0, len(photo), width))
    text = f'image_base64,text\n{photo},一\n"{lines}",二\n"{photo}","三"\n'
    source = open_source(write(tmp_path / "a.csv", text))
    assert [(sample.image, sample.texts) for sample in source] == [(JPEG * 300, (text,)) for text in "一二三"]


@pytest.mark.parametrize(
    "head, row, kind",
    [
        ("text\timage_id\timage", f"猫\t7\t{PLAIN}", "TsvSource"),
        ("文本\t编号\t图片", f"猫\t7\t{PLAIN}", "TsvSource"),
        ("Image_ID\tcaption\timage_base64", f"7\t猫\t{PLAIN}", "TsvSource"),
        ("image\timage_id\ttext", f"data:image/jpeg;base64,{PLAIN}\t7\t猫", "TsvSource"),
        ("image_id\timage\ttext", "7\tAAAA\t猫", "TsvSource"),
        ('"text"\t"image_id"\t"image"', f'"猫"\t"7"\t"data:image/jpeg;base64,{PLAIN}"', "FolderSource"),
        ('"text"\t"id"\t"base64"', f'"猫"\t"7"\t"{PLAIN}"', "FolderSource"),
        ("image\timage_id\ttext", PLAIN.rstrip("=") * 60 + "\t7\t猫", "TsvSource"),
        ("image_id\timage\ttext", "7\ta.jpg\t猫", "FolderSource"),
        ("image\ttext\tid\ttags", "a.jpg\t猫\t7\t狗", "FolderSource"),
    ],
)
def test_a_tsv_may_have_a_header(tmp_path, head, row, kind):
    write(tmp_path / "a.jpg", JPEG)
    source = open_source(write(tmp_path / "a.tsv", f"{head}\n{row}\n{row}\n"))
    assert type(source).__name__ == kind
    assert [(sample.id, sample.texts, sample.where[-1]) for sample in source] == [
        ("7", ("猫",), "2"),
        ("7", ("猫",), "3"),
    ]
    assert [source.key(row) for row in range(2)] == ["7", "7"]


@pytest.mark.parametrize("names", ["caption\tpid\tb64", "query\tpid\tpic", "name\tsku\timage_data", "卖点\t货号\t主图"])
def test_a_header_of_other_names_is_one_sentence(tmp_path, names):
    source = open_source(write(tmp_path / "a.tsv", f"{names}\n猫\t7\t{PLAIN}\n"))
    with pytest.raises(
        RowError, match=r"a.tsv:1: the line seems to name columns .*; call them text, image_id and image"
    ):
        source[0]
    assert source[1].texts == ("猫",)
    with pytest.raises(DataError, match="a header but no rows"):
        open_source(write(tmp_path / "b.tsv", "text\timage_id\timage\n"))


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
def test_many_names_of_columns_are_compared_in_time(tmp_path, suffix):
    names = [f"imag{number}" for number in range(100_000)]
    text = ",".join(names) + "\n1\n" if suffix == "csv" else json.dumps(dict.fromkeys(names, 1)) + "\n"
    began = time.monotonic()
    with pytest.raises(DataError, match="has no (image|caption)"):
        open_source(write(tmp_path / f"a.{suffix}", text))[0]
    assert time.monotonic() - began < 10


@pytest.mark.parametrize("depth", range(940, 1000, 4))
def test_a_value_within_many_others_is_one_sentence(tmp_path, depth):
    row = f'{{"image": {"[" * depth}{"]" * depth}, "text": "x"}}\n'
    with pytest.raises(RowError, match="a.jsonl:1"):
        open_source(write(tmp_path / "a.jsonl", row))[0]


@pytest.mark.parametrize("value", ["9" * 5000, "[" * 100_000 + "]" * 100_000], ids=["digits", "brackets"])
def test_json_beyond_what_python_reads_is_one_sentence_without_python(tmp_path, value):
    row = f'{{"image": "a.jpg", "text": "x", "other": {value}}}\n'
    with pytest.raises(RowError, match=r"a.jsonl:1: JSON that cannot be read \((too many|a number)") as caught:
        open_source(write(tmp_path / "a.jsonl", row))[0]
    assert "sys." not in str(caught.value) and "recursion" not in str(caught.value)

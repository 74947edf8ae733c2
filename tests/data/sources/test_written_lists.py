"""A list that a program wrote into a cell is a list; what begins as one and is none is a bad row, not a caption."""

import base64
import json

import pytest

from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.data.sources.written_lists import MAX_CELL, written_list

LISTS = {
    "['一只狗', '两只狗']": ["一只狗", "两只狗"],
    " [ '一只狗' ,'两只狗', ] ": ["一只狗", "两只狗"],
    '["一只狗", "two \\ud83d\\udc36"]': ["一只狗", "two 🐶"],
    "[\"it's\", 'a \"b\"', 'c\\'d', 'e\\\\f']": ["it's", 'a "b"', "c'd", "e\\f"],
    "['一只狗' '两只狗']": ["一只狗", "两只狗"],
    "['一只狗'\n '两只狗'\n '三']": ["一只狗", "两只狗", "三"],
    "array(['一只狗', '两只狗'], dtype=object)": ["一只狗", "两只狗"],
    "array(['一只狗'], dtype='<U3')": ["一只狗"],
    "('一只狗', '两只狗')": ["一只狗", "两只狗"],
    "('一只狗',)": ["一只狗"],
    "[u'a']": ["a"],
    "[]": [],
}
TEXTS = ["[图] 一只猫", "[1]", '("猫")', "('猫')很可爱", "一只狗", "'一只狗', '两只狗'", "[网红'店']"]
BROKEN = {
    "['一只狗', '两只狗'": "closing bracket is missing",
    "['一只狗', None]": "no string in quotes",
    "['一只狗', nan]": "no string in quotes",
    "['一只狗', ['两只狗']]": "no string in quotes",
    "['一只狗''两只狗']": "nothing parts its strings",
    "['一只狗', '两只狗' '三']": "some of its strings have no comma",
    "['一只狗' '两只狗' ... '三']": "no string in quotes",
    "['一只狗'] 很可爱": "nothing parts",
    "[b'a']": "no string in quotes",
    "['a\\d']": "is no string",
    "['" + "x" * MAX_CELL + "']": "characters",
}


@pytest.fixture
def source(tmp_path):
    """Function (kind, cell, column) -> the source of one row with that cell."""
    (tmp_path / "a.png").write_bytes(b"x")

    def write(kind, cell, column="texts"):
        quoted = '"' + cell.replace('"', '""') + '"'
        image = base64.b64encode(b"x").decode()
        row = {"image": "a.png", **({"text": "x"} if column == "tags" else {}), column: cell}
        content = {
            "comma.csv": f"image,{column}{',text' * (column == 'tags')}\na.png,{quoted}{',x' * (column == 'tags')}\n",
            "tab.csv": f"image\t{column}\na.png\t{quoted}\n",
            "a.tsv": f"{cell}\t1\t{image}\n",
            "a.jsonl": json.dumps(row, ensure_ascii=False) + "\n",
            "a.json": json.dumps(row, ensure_ascii=False),
            "a.txt": cell,
        }[kind]
        (tmp_path / kind).write_text(content, encoding="utf-8")
        return open_source(tmp_path if kind in ("a.json", "a.txt") else tmp_path / kind)

    return write


KINDS = ["comma.csv", "tab.csv", "a.tsv", "a.jsonl", "a.json", "a.txt"]


@pytest.mark.parametrize("cell, wanted", [(cell, wanted) for cell, wanted in LISTS.items() if wanted], ids=repr)
@pytest.mark.parametrize("kind", KINDS)
def test_a_list_in_a_cell_is_several_captions(source, kind, cell, wanted):
    if kind == "a.tsv":
        cell = cell.replace("\n", "")
    assert source(kind, cell)[0].texts == tuple(wanted)


@pytest.mark.parametrize("column", ["text", "texts", "caption", "captions"])
def test_every_column_of_captions_may_hold_a_list(source, column):
    assert source("comma.csv", "['一只狗', '两只狗']", column)[0].texts == ("一只狗", "两只狗")


@pytest.mark.parametrize("kind", ["comma.csv", "a.jsonl"])
def test_a_list_of_tags_in_a_cell_is_several_tags(source, kind):
    assert source(kind, "['狗', '草,地']", "tags")[0].tags == ("狗", "草,地")
    assert source(kind, "[]", "tags")[0].tags == () and source(kind, "狗,草", "tags")[0].tags == ("狗", "草")
    with pytest.raises(RowError, match="begins as a list, but"):
        source(kind, "['狗', 草]", "tags")[0]


@pytest.mark.parametrize("text", TEXTS)
def test_a_caption_with_brackets_stays_a_caption(source, text):
    assert written_list(text) is None and source("comma.csv", text)[0].texts == (text,)


@pytest.mark.parametrize("cell", BROKEN)
def test_what_begins_as_a_list_and_is_none_is_a_bad_row(source, cell):
    with pytest.raises(RowError, match=f"a.jsonl:1: .* begins as a list, but .*{BROKEN[cell]}.*; write a list of str"):
        source("a.jsonl", cell)[0]


def test_an_empty_list_in_a_cell_is_an_empty_caption(source):
    with pytest.raises(RowError, match="texts is '\\[\\]'|empty list"):
        source("comma.csv", "[]")[0]

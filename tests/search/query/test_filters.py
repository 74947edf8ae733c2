"""Filters: what a text lets through is what it says, and what cannot be read is told in one sentence."""

import calendar
import datetime

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ernie_vil2.errors import ConfigError
from ernie_vil2.messages import LONGEST
from ernie_vil2.search.query.filter_rows import allowed_ids
from ernie_vil2.search.query.filter_terms import terms_of


def seconds(*day):
    return calendar.timegm((*day, 0, 0, 0))


def is_below(folder, top):
    return folder == top or folder.startswith(top + "/")


# filter: what it means of a row
MEANT = {
    "folder:2021/上海": lambda row: is_below(row.folder, "2021/上海"),
    "folder:2021/上海/": lambda row: is_below(row.folder, "2021/上海"),
    "folder:.": lambda row: True,
    "folder:/data/photos/2021": lambda row: row.root == 1 and is_below(row.folder, "2021"),
    "folder:/data": lambda row: row.root == 1,
    "folder:/data/pho": lambda row: False,
    "folder:/more/2021/上海": lambda row: row.root == 2 and is_below(row.folder, "2021/上海"),
    "folder:/mo": lambda row: False,
    "tag:猫": lambda row: "猫" in row.tags,
    'tag:"big cat"': lambda row: "big cat" in row.tags,
    'tag:"a|b"': lambda row: "a|b" in row.tags,
    "tag:猫|狗": lambda row: {"猫", "狗"} & set(row.tags),
    "tag:猫 tag:狗": lambda row: {"猫", "狗"} <= set(row.tags),
    "-tag:猫": lambda row: "猫" not in row.tags,
    "caption:boat": lambda row: "BOAT" in row.caption,
    "caption:猫": lambda row: "猫" in row.caption,
    "name:img": lambda row: "IMG" in row.key,
    "name:*.png": lambda row: row.key.endswith(".png"),
    "name:*%.png": lambda row: row.key.endswith("%.png"),
    "name:*/clip.mp4|clip.mp4": lambda row: "clip.mp4" in row.key,
    "name:*.mp4": lambda row: "clip.mp4" in row.key,
    "-name:*.mp4": lambda row: "clip.mp4" not in row.key,
    "name:img_?.jpg": lambda row: row.key == "IMG_1.JPG",
    "width>=1000": lambda row: row.width >= 1000,
    "width>1000": lambda row: row.width > 1000,
    "width:950..1000": lambda row: 950 <= row.width <= 1000,
    "width=1000": lambda row: row.width == 1000,
    "-width<1000": lambda row: row.width >= 1000,
    "size<2MB": lambda row: row.size < 2_000_000,
    "size<=1.5MiB": lambda row: row.size <= 1.5 * 2**20,
    "size:..500kb": lambda row: row.size <= 500_000,
    "date:2021": lambda row: row.date and seconds(2021, 1, 1) <= row.date < seconds(2022, 1, 1),
    "date:2021-05..2021-07": lambda row: row.date and seconds(2021, 5, 1) <= row.date < seconds(2021, 8, 1),
    "date>2021-12": lambda row: row.date and row.date >= seconds(2022, 1, 1),
    "date<=2021-02-28": lambda row: row.date and row.date < seconds(2021, 3, 1),
    "-date:2021": lambda row: not (row.date and seconds(2021, 1, 1) <= row.date < seconds(2022, 1, 1)),
    "time<0:30": lambda row: row.time is not None and row.time < 30_000,
    "time:12": lambda row: row.time is not None and 12_000 <= row.time < 13_000,
    "video": lambda row: row.time is not None,
    "-video": lambda row: row.time is None,
    "picture width>=1000": lambda row: row.time is None and row.width >= 1000,
    "source:2": lambda row: row.root == 2,
    "source:photos": lambda row: row.root == 1,
    "source:/data/photos": lambda row: row.root == 1,
    "id:10..19": lambda row: False,
    "": lambda row: True,
}


@pytest.mark.parametrize("text", [text for text in MEANT if not text.startswith("id")])
def test_a_filter_means_what_it_says(text, library, roots):
    assert allowed_ids(library, roots, terms_of(text)).tolist() == library.ids_where(MEANT[text])


def test_a_source_is_named_from_where_one_stands(library, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    roots = {1: {"spec": "{}", "folder": str(tmp_path / "photos"), "kind": "files"}, 2: {"spec": "more", "folder": ""}}
    wanted = library.ids_where(lambda row: row.root == 1)
    for name in ("photos", "./photos/", str(tmp_path / "photos")):
        assert allowed_ids(library, roots, terms_of({"source": name})).tolist() == wanted


def test_a_source_that_is_not_there_is_told(library, roots):
    for name, known in (("phots", roots), ("/data", roots), ("a", {n: roots[1] | {"spec": f"{n}"} for n in range(9)})):
        with pytest.raises(ConfigError, match="filter: there is no source .*'/data/photos'") as caught:
            allowed_ids(library, known, terms_of(f"source:{name}"))
        assert len(str(caught.value)) < LONGEST


def test_ids_are_a_field(library, roots):
    wanted = [number for number in range(10, 20) if library.live[number]]
    assert allowed_ids(library, roots, terms_of("id:10..19")).tolist() == wanted


@given(st.lists(st.sampled_from([text for text in MEANT if text and " " not in text and not text.startswith("id")])))
def test_terms_must_all_hold(library, roots, texts):
    wanted = library.ids_where(lambda row: all(MEANT[text](row) for text in texts))
    assert allowed_ids(library, roots, terms_of(" ".join(texts))).tolist() == wanted


PAIRS = [
    ({"folder": "2021/上海", "width": ">=1000"}, "folder:2021/上海 width>=1000"),
    ({"tag": ["猫", "狗"], "-tag": "big cat"}, 'tag:猫|狗 -tag:"big cat"'),
    ({"date": (datetime.date(2021, 5, 1), None)}, "date:2021-05-01.."),
    ({"date": datetime.datetime(2021, 5, 1, 12, 30, 1)}, "date:2021-05-01T12:30:01"),
    ({"date": datetime.datetime(2021, 5, 1, 12, 30, 1, 999)}, "date:2021-05-01T12:30:01"),
    ({"date": (datetime.datetime(2021, 5, 1, 12, 30, 1, 999), None)}, "date:2021-05-01T12:30:01.."),
    ({"size": (None, "2MB"), "video": False}, "size:..2MB -video"),
    ({"width": 1000, "picture": True}, "width:1000 picture"),
    ({"tag": ">=1"}, "tag:>=1"),
]


@pytest.mark.parametrize("mapping, text", PAIRS)
def test_a_dictionary_says_the_same(mapping, text):
    assert terms_of(mapping) == terms_of(text)


@given(st.dictionaries(st.sampled_from(["tag", "caption", "-tag", "-caption"]), st.text(min_size=1)))
def test_any_text_can_be_quoted(mapping):
    def escaped(value):
        return value.replace("\\", "\\\\").replace('"', '\\"')

    text = " ".join(f'{field}:"{escaped(value)}"' for field, value in mapping.items())
    assert terms_of(text) == terms_of(mapping)


def test_names_are_found_in_either_form_of_unicode(roots):
    from ernie_vil2.search.store.columns import ImageRow
    from tests.search.query.conftest import Rows

    rows = Rows([ImageRow(root=1, key="a", folder="Cafe\u0301"), ImageRow(root=1, key="b", folder="Caf\u00e9")], [1, 1])
    rows.live = np.array([True, True])
    for form in ("Cafe\u0301", "Caf\u00e9"):
        assert allowed_ids(rows, roots, terms_of(f"folder:{form}")).tolist() == [0, 1]


WRONG = {
    "tags:猫": "did you mean 'tag'",
    "widht>=3": "did you mean 'width'",
    "width>=wide": "'wide' is no width; write a whole number",
    "width:": "width has no value",
    "width": "width has no value",
    "date:2021-13": "'2021-13' is no date; write 2021",
    "date:2021-02-30": "is no date",
    "date:..": "'..' is no date",
    "date:2022..2021": "ends before it begins",
    "size<2 MB": "there is no 'MB'",
    "size<2XB": "is no size",
    "tag>=猫": "tag is a text, which >= does not compare",
    'tag:"big cat': "quotation mark that has no end",
    "tag:猫|": "tag has no value",
    "video:1": "video is a word without a value",
    "2021": "'2021' is no term",
    "(tag:a)": "is no term",
    "x" * 5000: "5,000 characters",
    " ".join(["video"] * 65): "65 terms",
}


@pytest.mark.parametrize("text", WRONG, ids=lambda text: text[:20])
def test_what_cannot_be_read_is_told(text):
    with pytest.raises(ConfigError) as caught:
        terms_of(text)
    assert WRONG[text] in str(caught.value) and len(str(caught.value)) <= LONGEST


@given(st.text())
def test_any_text_is_read_or_refused(text):
    try:
        terms_of(text)
    except ConfigError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("given", [3, ["tag:a"], {3: "a"}, {"nothing": 1}, {"tag": None}, {"tag": ("a", "b")}])
def test_what_is_no_filter_is_told(given):
    with pytest.raises(ConfigError, match="filter"):
        terms_of(given)

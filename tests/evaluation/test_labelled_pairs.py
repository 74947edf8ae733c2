"""Files of labelled pairs: one content in every form, and a sentence for each row that is none."""

import json

import pytest

from ernie_vil2.errors import DataError
from ernie_vil2.evaluation.labelled_pairs import read_labelled

PAIRS = [("a.jpg", "图 b.jpg", True), ("12", 'say "no", twice', False), ("一只红猫", "7", True)]


def quoted(text):
    return '"' + text.replace('"', '""') + '"'


FORMS = {
    "tabs.tsv": "".join(f"{left}\t{right}\t{label:d}\n" for left, right, label in PAIRS),
    "named.tsv": "Label\tnote\tright\tleft\r\n"
    + "".join(f"{label:d}\t-\t{right}\t{left}\r\n" for left, right, label in PAIRS),
    "commas.csv": "left,right,label\n"
    + "".join(f"{quoted(left)},{quoted(right)},{label:d}\n\n" for left, right, label in PAIRS),
    "lines.jsonl": "".join(
        json.dumps({"left": left, "right": int(right) if right.isdigit() else right, "label": label}) + "\n"
        for left, right, label in PAIRS
    ),
}


@pytest.mark.parametrize("name", FORMS)
def test_every_form_says_the_same(tmp_path, name):
    (tmp_path / name).write_bytes(b"\xef\xbb\xbf" + FORMS[name].encode())
    pairs = read_labelled(tmp_path / name)
    assert list(zip(pairs.left, pairs.right, pairs.same.tolist(), strict=True)) == PAIRS
    assert pairs.where[0].startswith(f"{tmp_path / name}:") and len(pairs.sha256) == 64


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("", "the file is empty"),
        ("left\tright\tlabel\n", "has no pair"),
        ("a.jpg\tb.jpg\n", ":1: 2 columns; write a pair and its label"),
        ("a.jpg,b.jpg,1\na,b,c,1\n", ":2: 4 columns.*quotes"),
        ("a.jpg\tb.jpg\t2\n", ":1: the label is .2.; write 1 for the same"),
        ("a.jpg\t \t1\n", ":1: right is .*write a sentence"),
        ('{"left": "a", "label": 1}\n', ":1: right is null"),
        ('{"left": "a", "right": "b", "label": 0.5}\n', ":1: the label is 0.5"),
        ('{"left": true, "right": "b", "label": 1}\n', ":1: left is true"),
        ('{"left": "\\ud800", "right": "b", "label": 1}\n', ":1: left is .*; write a sentence"),
        ('{"left": "a", "left": "b"}\n', ":1: the key 'left' is given twice"),
    ],
)
def test_a_row_that_is_no_pair_is_named(tmp_path, content, told):
    (tmp_path / "pairs").write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match=told) as error:
        read_labelled(tmp_path / "pairs")
    assert str(error.value).count("\n") == 0

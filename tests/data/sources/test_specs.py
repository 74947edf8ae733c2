"""Whatever is given as a source opens, or is one sentence of our own, soon: paths, globs, options and weights."""

import os
import time

import pytest

from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import UserError
from ernie_vil2.files.claim import Claims
from ernie_vil2.inference.identity import describe

LONG = "x" * 300
MANY = int("9" * 400)
PATHS = {
    "a\0b": "holds a zero character; leave it out",
    "a\0*": "holds a zero character",
    "~\0": "holds a zero character",
    "\ud800": "half a surrogate pair",
    LONG: "File name too long; choose a shorter name",
    "x/" * 5000: "more than a path can have",
    "*" * 10**5: "more than a path can have",
    "[" * 10**5: "more than a path can have",
    "[" * 4000: "a pattern of over 1,000 characters",
    "*a" * 450: "no file matches",
    "**/" * 50 + "x": "no file matches",
    "**/a/" * 20: r"has \*\* over 3 times",
    "~nobody-here/x.jsonl": "no such file or folder",
    "&a [*a]": "no file matches",
}
WRITTEN = {
    "{path: %s}" % LONG: "File name too long; choose a shorter name",
    "{path: a.jsonl, tags: %s}" % LONG: "File name too long",
    "{path: d, kind: folder, metadata: %s}" % LONG: "File name too long; choose a shorter name",
    "{path: d, kind: chinese_clip, split: %s}" % LONG: "File name too long",
    '{path: "a\\0b"}': "holds a zero character",
    '{path: a.jsonl, tags: "\\0"}': "the option tags .* holds a zero character",
    "{path: [a]}": "needs a path, not",
    "{1: 2}": "needs a path",
    "{kind: [tsv]}": "unknown kind of source",
    "{path: a.jsonl, max_line_bytes: -1}": "must be at least 0",
    "{path: a.jsonl, allow_outside: 3}": "must be of type bool",
    "{path: a.jsonl, %s: 3}" % LONG: "unknown option",
    "{kind: scenes, languages: [[zh]]}": "must be a list of zh, en",
    "{kind: scenes, languages: {zh: 1}}": "must be a list of zh, en",
    "{kind: scenes, noise: [1]}": "share of the captions",
    "{kind: mix, sources: {a: b}}": "a mix needs sources",
    "{kind: mix, sources: [{source: []}]}": "the list of sources is empty",
    **{
        f"{{kind: mix, sources: [{{source: scenes, weight: {weight}}}]}}": "the weight of entry 1 is .*; give a number"
        for weight in ("1e-300", "1e+300", ".nan", ".inf", "0", "-1", "true", "'1'", "[1]", "~", "9" * 90)
    },
}
SCENES = {
    "size": ["9" * 5000, "1e400", "-1", "0", "nan", "inf", "1" + "0" * 21, "2000000000", "x", "", "true", "1.5"],
    "seed": ["-1", "9" * 200, "nan", "x"],
    "image_size": ["1", "999999999", "1.5", "inf"],
    "captions": ["0", "999999999999", "-3"],
    "noise": ["nan", "-1", "1e400", "x", "true", "1.1"],
    "cache": ["3", "maybe"],
    "split": ["", "x" * 10**5, "3"],
}
OTHER = [
    *(None, 3, 3.5, True, b"a.jsonl", [], [[]], [None], {1: 2}, {None: 1}, {"kind": {}}, {"path": b"a.jsonl"}),
    *({"kind": "scenes", name: MANY} for name in SCENES),
    {"kind": "mix", "sources": [{"source": "scenes", "weight": MANY}]},
    {"path": "a.jsonl", "max_line_bytes": MANY},
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "d").mkdir()
    (tmp_path / "a.jsonl").write_text('{"image": "a.png", "text": "a"}\n')
    monkeypatch.chdir(tmp_path)


def refused(spec, match=None):
    start = time.monotonic()
    with pytest.raises(UserError, match=match) as caught:
        open_source(spec)
    assert len(str(caught.value)) <= 480 and "\n" not in str(caught.value)
    if isinstance(spec, str):
        Claims("encode", [spec])
    assert time.monotonic() - start < 5


@pytest.mark.parametrize("text", [*PATHS, *WRITTEN], ids=lambda text: ascii(text)[:40])
def test_a_text_that_is_no_source_is_one_sentence(folder, text):
    refused(text, {**PATHS, **WRITTEN}[text])


@pytest.mark.parametrize("name", SCENES)
def test_an_option_of_scenes_is_held_to_its_bounds(name):
    for value in SCENES[name]:
        refused(f"scenes:{name}={value}", "scenes")


@pytest.mark.parametrize("spec", OTHER, ids=lambda spec: repr(spec)[:30])
def test_data_that_is_no_source_is_one_sentence(folder, spec):
    refused(spec)


def test_a_glob_finds_the_same_however_often_it_walks(folder):
    os.makedirs("d/e/f")
    os.rename("a.jsonl", "d/e/f/a.jsonl")
    assert [len(open_source("**/" * times + "a.jsonl")) for times in (1, 2, 30)] == [1, 1, 1]


def test_truth_values_are_taken_as_they_are_meant(folder):
    assert open_source("{path: a.jsonl, allow_outside: no}").allow_outside is False
    assert open_source("scenes:cache=off,size=3").cached is None


def test_a_mapping_longer_than_a_name_has_an_identity(folder):
    spec = "{kind: jsonl, path: '%sa.jsonl'}" % ("./" * 200)
    assert describe("a.jsonl", None, spec, open_source(spec))["input"]

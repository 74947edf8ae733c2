"""Any YAML text gives plain data that is written as it looks, or one sentence, soon and in little memory."""

import datetime
import time

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from ernie_vil2.files.yaml_files import MOST_BYTES, flow_text, parse_value, parse_yaml, read_yaml
from tests.conftest import ROOT

NINES = "9" * 5000
BOMB = "[&a [x,x,x,x,x,x,x,x,x]" + "".join(
    f", &{name} [{','.join([f'*{before}'] * 9)}]" for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
MERGED = "- &a0 {a: 1, b: 2, c: 3}\n" + "".join(
    f"- &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 9)}]}}\n" for n in range(1, 9)
)
REFUSED = {
    "!!int abc": "'abc' is no int",
    "!!int ''": "'' is no int",
    "!!int 012": "'012' is no int",
    "!!bool x": "'x' is no bool",
    "!!float x": "'x' is no float",
    "!!float 1:30": "'1:30' is no float",
    "!!timestamp 2001-99-99": "!!timestamp makes no plain data",
    "!!binary '='": "!!binary makes no plain data",
    "!!set {a}": "!!set makes no plain data",
    "!!omap [a: 1]": "!!omap makes no plain data",
    "!!python/object:os.system x": "makes no plain data",
    "!!seq x": "the tag of several values",
    "? !!seq x\n: 1": "the tag of several values",
    NINES: "a number has 5,000 characters",
    "0x" + "f" * 10**5: "a number has 100,002 characters",
    "[" * 2000: "over 64 values are inside of each other",
    "[" * 10**5: "over 64 values are inside of each other",
    "- " * 10**5: "over 64 values are inside of each other",
    "[" + "a," * 10**5 + "]": "over 50,000 values",
    "&a [*a]": "the anchor 'a' holds itself",
    "&a {b: *a}": "the anchor 'a' holds itself",
    "&a {<<: *a}": "the anchor 'a' holds itself",
    "&a {*a : 1}": "the anchor 'a' holds itself",
    BOMB + "]": "over 50,000 values, what aliases repeat counted",
    MERGED: "over 50,000 values, what aliases repeat counted",
    "x" * (MOST_BYTES + 1): "over 1,048,576 characters",
    "a\0b": "the character U\\+0000 cannot be there; leave it out",
    "\x01": "the character U\\+0001 cannot be there; leave it out",
    **dict.fromkeys(("{[a]: 1}", "{{a: 1}: 2}", "!!str {a: 1}", "!!seq {a: 1}", "{<<: 3}", "*x", "a: b: c"), "a fix"),
}
AS_IT_LOOKS = [
    *[
        "2001-99-99",
        "2024-01-01",
        "012",
        "-012",
        "0o17",
        "1:30",
        "1:30.5",
        "no",
        "off",
        "on",
        "Yes",
        "=",
        "<<",
        "1.5.2",
    ],
    *[(text, float(text)) for text in ("1e-4", "1E5", "1e+3", ".5", "1.", "12.5e-1")],
    *[("1_000", 1000), ("0x1F", 31), ("0b11", 3), ("-7", -7), ("+1", 1), ("0", 0), ("true", True), ("~", None)],
    *[("!!str 12", "12"), ("!!float 3", 3.0), ("{=: 1}", {"=": 1}), ("[&x b, *x]", ["b", "b"])],
]


@pytest.mark.parametrize("text", REFUSED, ids=lambda text: text[:20])
def test_what_is_no_plain_data_is_one_sentence(text):
    start = time.monotonic()
    with pytest.raises(ConfigError, match=REFUSED[text]) as caught:
        parse_value(f"-o seed={text}", text, ": a fix")
    assert str(caught.value).startswith("-o seed=") and len(str(caught.value)) < 480 and "\n" not in str(caught.value)
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("case", AS_IT_LOOKS, ids=str)
def test_a_word_is_what_it_looks_like(case):
    text, value = case if isinstance(case, tuple) else (case, case)
    found = parse_yaml(text)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize("text", ["a: !!int x\n", "a: [1,\n b: *c]\n", "a: 1\n\x01\n"])
def test_the_line_of_a_file_is_named(tmp_path, text):
    (tmp_path / "a.yaml").write_text("x: 1\n" + text)
    with pytest.raises(ConfigError, match=r"a.yaml, line [23]: .*; correct that"):
        read_yaml(tmp_path / "a.yaml")


@pytest.mark.parametrize("text", ["[]", "false", "0", "x", "[1, 2]"])
def test_a_file_without_keys_is_refused(tmp_path, text):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(ConfigError, match="the file must hold keys and values, not "):
        read_yaml(tmp_path / "a.yaml")


def test_a_large_file_is_refused_before_it_is_parsed(tmp_path):
    (tmp_path / "a.yaml").write_text("a: 1\n" * MOST_BYTES)
    with pytest.raises(ConfigError, match="over 1,048,576 bytes"):
        read_yaml(tmp_path / "a.yaml")


def test_what_an_alias_repeats_is_changed_in_one_place_alone(tmp_path):
    (tmp_path / "a.yaml").write_text("data: {train: &x {kind: scenes, size: 9}, valid: *x}\n")
    data = load_run(tmp_path / "a.yaml", ["data.valid.size=3"]).data
    assert (data.train["size"], data.valid["size"]) == (9, 3)


@pytest.mark.parametrize("text", ["no", "off", "No", "false", False])
def test_a_truth_value_may_be_any_of_its_words(text):
    recipe = ROOT / "configs" / "demo.yaml"
    assert load_run(recipe, [f"model.lower_case={text}"]).model.lower_case is False
    assert load_run(recipe, ["model.lower_case=on"]).model.lower_case is True


@pytest.mark.parametrize("path", sorted((ROOT / "configs").rglob("*.yaml")), ids=lambda path: path.name)
def test_recipes_are_read_as_any_yaml_reader_does(path):
    text = path.read_text(encoding="utf-8")

    def same(one, other):
        if isinstance(one, dict):
            return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
        if isinstance(one, list):
            return len(one) == len(other) and all(map(same, one, other))
        return one == other or isinstance(one, float) and one == float(other)

    assert same(parse_yaml(text), yaml.safe_load(text))


PIECES = [
    *"[]{}:,|>'\"#%@~=\\ \t\n\0\ud800狗a",
    *(": ", "- ", "  ", "&a ", "*a", "<<: ", "!!", "!!int ", "!!bool ", "!!set ", "!x ", "? ", "---", "..."),
    *("1e9", "0x", "012", "1:3", "2001-01-99", "true", "no", ".nan", "-.inf"),
]


@settings(max_examples=300, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join) | st.text(max_size=40))
def test_any_text_is_data_or_an_error_of_our_own(text):
    def plain(value):
        if isinstance(value, dict):
            return all(map(plain, value)) and all(map(plain, value.values()))
        return all(map(plain, value)) if isinstance(value, list) else type(value) in (str, int, float, bool, type(None))

    start = time.monotonic()
    try:
        assert plain(parse_value("x", text, " is none")) and not isinstance(parse_yaml(text), datetime.date)
    except ConfigError as error:
        assert len(str(error)) < 480
    assert time.monotonic() - start < 5


@given(st.text(max_size=12).filter(str.isprintable))
def test_any_text_of_a_mapping_in_braces_is_read_as_it_is(text):
    assert parse_yaml(f"{{a: {flow_text(text)}, b: 1}}") == {"a": text, "b": 1}


def test_a_plain_text_of_a_mapping_in_braces_needs_no_quotes():
    for text, quoted in (("商品说明", False), ("a/b-1.csv", False), ("a, b", True), ("7", True), ("null", True)):
        assert (flow_text(text) != text) == quoted

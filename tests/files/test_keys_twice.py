"""A key that is given twice is an error wherever people write JSON or YAML, since one of the values would be lost."""

from pathlib import Path

import pytest
import yaml

from ernie_vil2.cli.convert import pair
from ernie_vil2.config.load import load_run
from ernie_vil2.data.sources.base import RowError
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.files.yaml_files import parse_yaml, read_yaml
from tests.files.kinds import IMAGE, LINES, WHOLE, samples, saved

RECIPE = next(Path(__file__).parents[2].glob("configs/*.yaml"))
TWICE = '{"id": 1, "text": "狗", "id": 2}\n'


@pytest.mark.parametrize("kind", [kind for kind, (name, *_) in WHOLE.items() if name.endswith(".json")])
def test_a_key_that_is_given_twice_in_a_json_file_is_named(tmp_path, kind):
    path, read = saved(tmp_path, WHOLE, kind)
    path.write_text(TWICE)
    with pytest.raises(UserError, match="the key 'id' is given twice") as caught:
        read(path)
    assert str(path) in str(caught.value) or "beside" in kind


def test_a_key_that_is_given_twice_in_a_row_is_a_row_error(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"image_base64": "{IMAGE}", "text": "a"}}\n' + TWICE)
    with pytest.raises(RowError, match=r"a.jsonl:2: the key 'id' is given twice; keep one of them"):
        samples(path)


@pytest.mark.parametrize("kind", ["tags", "detections"])
def test_a_key_that_is_given_twice_in_other_lines_is_named(tmp_path, kind):
    path, read = saved(tmp_path, LINES, kind)
    path.write_text(TWICE)
    with pytest.raises(RowError, match=f"{path}:1: the key 'id' is given twice"):
        for item in read(path):
            raise item


@pytest.mark.parametrize(
    "text, line", [("a: 1\nb: 2\na: 3\n", 3), ("a:\n- {x: 1,\n   'x': 2}\n", 3), ("1: a\ntrue: b\n", 2)]
)
def test_a_key_that_is_given_twice_in_yaml_is_named(tmp_path, text, line):
    (tmp_path / "a.yaml").write_text(text)
    with pytest.raises(
        ConfigError, match=rf"a.yaml, line {line}: the key '\w+' is given twice, first on line \d; keep"
    ):
        read_yaml(tmp_path / "a.yaml")


def test_merge_keys_and_anchors_go_on_working():
    text = "a: &x {k: 1, l: 2}\nb: &y {<<: *x, k: 3}\nc: {<<: *y, l: 4}\nd: {<<: [*x, *y]}\ne: *y\n"
    assert parse_yaml(text) == yaml.safe_load(text) and parse_yaml(text)["c"] == {"k": 3, "l": 4}


@pytest.mark.parametrize(
    "read, text",
    [
        (lambda text: load_run(RECIPE, [text]), "train={steps: 1, steps: 2}"),
        (open_source, "{kind: jsonl, path: a, path: b}"),
        (open_source, "scenes:split=test,split=train"),
        (pair, "pixels={size: 1, size: 2}"),
    ],
)
def test_a_key_that_is_given_twice_on_the_command_line_is_named(read, text):
    with pytest.raises(ConfigError, match="(key|option) '(steps|path|split|size)' is given twice; keep one of them"):
        read(text)

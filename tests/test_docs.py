"""The documents say what the code says: every key of a configuration, every tool, every recipe."""

import dataclasses
import re
import typing

import yaml

from ernie_vil2.config.run import RunConfig
from ernie_vil2.schema import kind_of
from tests.conftest import ROOT


def shown(value):
    """A default as a reader would write it."""
    if dataclasses.is_dataclass(value) or value == []:
        return "[]" if value == [] else ""
    if isinstance(value, str):
        return value
    plain = list(value) if isinstance(value, tuple) else value
    text = yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True).strip()
    return text.removesuffix("\n...").replace("'", "") if not isinstance(value, float) else f"{value}"


def key_rows(cls, prefix=""):
    """Table rows of every key, in the order of the dataclasses; other kinds of a tower as `tower(kind).key`."""
    hints, rows, below = typing.get_type_hints(cls), [], []
    for field in dataclasses.fields(cls):
        members = typing.get_args(hints[field.name]) or (hints[field.name],)
        nested = [member for member in members if dataclasses.is_dataclass(member)]
        optional = type(None) in members
        if nested and typing.get_origin(hints[field.name]) is not list:
            for member in nested:
                other = f"({kind_of(member)})" if member is not nested[0] else ""
                below += key_rows(member, f"{prefix}{field.name}{other}.")
            if not optional:
                continue
        default = field.default if field.default is not dataclasses.MISSING else field.default_factory()
        meaning = field.metadata["doc"].replace("|", "/")
        rows.append(f"| `{prefix}{field.name}` | `{shown(default)}` | {meaning} |")
    return rows + below


def test_every_key_is_documented_with_its_default():
    text = (ROOT / "docs/training.md").read_text(encoding="utf-8")
    documented = re.findall(r"^\| `[a-z_.0-9()]+` \| `.*` \| .* \|$", text, re.MULTILINE)
    wanted = key_rows(RunConfig)
    assert sorted(set(wanted) - set(documented)) == []
    keys = {row.split("`")[1] for row in wanted}
    assert {row.split("`")[1] for row in documented} - keys == set()


def test_every_recipe_is_headed_by_what_a_reader_asks():
    for path in ROOT.glob("configs/**/*.yaml"):
        head = path.read_text(encoding="utf-8").split("\nseed")[0]
        for word in ("command", "hardware", "hours", "expected"):
            assert f"# {word}" in head, f"{path.name} does not say {word}"

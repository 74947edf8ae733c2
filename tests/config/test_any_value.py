"""Any value at any key of a run's configuration gives a RunConfig or a ConfigError in one sentence, soon."""

import copy
import dataclasses
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.config.run import RunConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig, PaddleClasConfig, PaddleNLPConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.schema import as_dict, build
from ernie_vil2.systems.registry import known_systems, system_class
from tests.conftest import ROOT

RECIPE = ROOT / "configs" / "demo.yaml"


def nested(levels):
    found = 1
    for _ in range(levels):
        found = {"a": [found]}
    return found


HARD = [
    *(None, True, False, 0, 1, -1, 2, 3.0, 0.5, 10**9, 10**18, 10**400, -(10**400), 1e300, 1e-300, float("nan")),
    *(
        float("inf"),
        "",
        "a\0b",
        "\ud800",
        "x" * 300,
        "x" * 10**6,
        "1e-4",
        "012",
        "no",
        "on",
        "9" * 5000,
        "queue",
        "vit",
    ),
    *([], {}, [None], [[]], [1, 2, 3], [0.1, 2.0], ["text"], [["image", "caption", 10**400]], list(range(10**5))),
    *({"kind": "vit"}, {"kind": 3}, {1: 2}, {None: 1}, {"kind": "efficientnet", "variant": []}, {"match": "(.+)+x"}),
    *([{"match": "a{99999999999}"}], {"paddlenlp": "x"}, {"paddleclas": [1]}, nested(40), nested(300)),
]
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8)
ANY = st.sampled_from(HARD) | st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5) | st.integers(), inner)
)


def keys(record, front=()):
    """Every key of nested dataclasses, those with keys below them too."""
    for item in dataclasses.fields(record):
        value = getattr(record, item.name)
        yield (*front, item.name)
        if dataclasses.is_dataclass(value):
            yield from keys(value, (*front, item.name))


def replaced(data, key, value):
    data = copy.deepcopy(data)
    held = data
    for name in key[:-1]:
        held = held[name]
    held[key[-1]] = value
    return data


BASE = load_run(RECIPE)
KEYS = list(keys(BASE))
OTHER_TOWERS = {
    EfficientNetConfig: "image_tower",
    PaddleClasConfig: "image_tower",
    PaddleNLPConfig: "text_tower",
}
TEXTS = ["!!int abc", "2001-99-99", "9" * 5000, "&a [*a]", "~", "", "x" * 300, '"a\\0b"', "{a: {b: c}}", "[[" * 40]


def built(cls, data):
    """The record, or None where a sentence says what is wrong; at once."""
    start, found = time.monotonic(), None
    try:
        found = build(cls, data, "run.yaml")
        as_dict(found)
    except ConfigError as error:
        assert len(str(error)) <= 480 and "\n" not in str(error) and str(error).startswith("run.yaml")
    assert time.monotonic() - start < 2
    return found


@pytest.mark.parametrize("key", KEYS, ids=".".join)
def test_hard_values_at_a_key_of_a_run(key):
    data = as_dict(BASE)
    for value in HARD:
        found = built(RunConfig, replaced(data, key, value))
        assert found is None or build(RunConfig, as_dict(found), "again") == found or value != value


@settings(max_examples=150, deadline=None)
@given(st.sampled_from(KEYS), ANY)
def test_any_value_at_a_key_of_a_run(key, value):
    built(RunConfig, replaced(as_dict(BASE), key, value))


@pytest.mark.parametrize("kind", OTHER_TOWERS)
def test_hard_values_at_a_key_of_other_towers(kind):
    side = OTHER_TOWERS[kind]
    data = as_dict(ModelConfig()) | {side: as_dict(kind())}
    for item in dataclasses.fields(kind):
        for value in HARD:
            built(ModelConfig, replaced(data, (side, item.name), value))


@pytest.mark.parametrize("kind", known_systems())
def test_hard_values_in_the_settings_of_a_system(kind):
    system = system_class(kind)
    plain = {"system": kind, "fixed_length": True}
    names = [item.name for item in dataclasses.fields(system.Settings)] if system.Settings else ["embed_dim", "x"]
    for name in names:
        for value in HARD:
            config = built(ModelConfig, plain | {"settings": {"embed_dim": 8} | {name: value}})
            if config is not None:
                try:
                    system.settings(config)
                except ConfigError as error:
                    assert len(str(error)) <= 480
                else:
                    system.parameters(config)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(KEYS), st.sampled_from(TEXTS))
def test_hard_values_of_an_option(key, text):
    start = time.monotonic()
    try:
        assert isinstance(load_run(RECIPE, [f"{'.'.join(key)}={text}"]), RunConfig)
    except ConfigError as error:
        assert len(str(error)) <= 480 and "\n" not in str(error)
    assert time.monotonic() - start < 5

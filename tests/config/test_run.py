"""Configurations: equal after a round trip, wrong ones named with the nearest right key, shipped ones whole."""

import json

import pytest
import yaml

from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig
from ernie_vil2.config.run import RunConfig
from ernie_vil2.errors import ConfigError, nearest
from ernie_vil2.keys import generator, random_key, stable_hash
from ernie_vil2.schema import as_dict, build
from tests.conftest import ROOT

SHIPPED = sorted((ROOT / "configs").rglob("*.yaml"))


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_shipped_recipes_are_whole_and_headed(path, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()  # what recipes of fine-tuning start from
    (tmp_path / "model" / "config.json").write_text(json.dumps(ModelConfig().to_dict()), encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    config = load_run(path)
    assert build(RunConfig, as_dict(config), "again") == config
    head = path.read_text(encoding="utf-8").split("\nseed:")[0]
    assert all(f"# {word}" in head for word in ("command", "hardware", "hours", "expected"))


def test_a_model_configuration_survives_json(tiny_config):
    assert ModelConfig.from_dict(tiny_config.to_dict()) == tiny_config
    assert ModelConfig.from_dict({"pixels": "bicubic"}).pixels == PIXEL_PROFILES["bicubic"]


def test_a_preset_is_a_copy():
    ModelConfig.from_dict({"pixels": "official"}).pixels.size = 7
    assert PIXEL_PROFILES["official"].size == 224


@pytest.mark.parametrize(
    "mapping, hint",
    [
        ({"image_towr": {}}, "did you mean 'image_tower'"),
        ({"image_tower": {"dpth": 3}}, "did you mean 'image_tower.depth'"),
        ({"image_tower": {"depth": "three"}}, "image_tower.depth must be of type int"),
        ({"image_tower": {"depth": True}}, "image_tower.depth must be of type int"),
        ({"image_tower": {"depth": 0}}, "at least 1"),
        ({"image_tower": {"dropout": 1.0}}, "[0, 1)"),
        ({"image_tower": {"heads": 7}}, "heads"),
        ({"image_tower": {"image_size": 225}}, "patch_size"),
        ({"image_tower": {"kind": ["vit"]}}, "image_tower.kind is ['vit']; known here: vit, "),
        ({"pixels": {"size": 256}}, "make them equal"),
        ({"pixels": "offical"}, "official, bicubic"),
        ({"pixels": {"mean": [0.5]}}, "3 values"),
        ({"text_tower": {"width": 1024, "heads": 16}}, "set projection"),
        ({"max_length": 4096}, "raise positions"),
        ({"layout_version": 2}, "one of 1"),
        ([], "mapping"),
    ],
)
def test_what_is_wrong_is_named_in_one_sentence(mapping, hint):
    with pytest.raises(ConfigError) as error:
        ModelConfig.from_dict(mapping, "model/config.json")
    assert hint in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith("model/config.json")


def test_numbers_that_yaml_reads_as_text_are_numbers():
    data = yaml.safe_load("{data: {train: 'scenes:size=100'}, optimizer: {lr: 1e-3}}")
    assert build(RunConfig, data, "x").optimizer.lr == 1e-3


def test_a_missing_file_is_one_sentence(tmp_path):
    with pytest.raises(ConfigError, match="nowhere.yaml: No such file or directory; give the path of a YAML file"):
        load_run(tmp_path / "nowhere.yaml")


def test_nearest_word():
    assert nearest("stpes", ["steps", "seed"]) == "steps" and nearest("zzz", ["steps"]) is None


def test_keys_are_the_same_everywhere_and_independent():
    assert stable_hash("a", 1) == -4522502111639797375 and random_key("a", 1) < 2**31
    draws = {generator(0, epoch, index, "x").random() for epoch in range(20) for index in range(20)}
    assert len(draws) == 400
    assert stable_hash("a", "b") != stable_hash("ab") and stable_hash(1, 23) != stable_hash(12, 3)
    assert stable_hash("\ud800") == stable_hash("\ud800")


@pytest.mark.parametrize(
    "path", ["*.tar", "**/*.jsonl", "{a,b}.tsv", "{00000..00127}.tar", "{train,more}/shard-{0..3}.tar", "s/{0..9}.tar"]
)
def test_an_override_may_be_a_path_that_yaml_cannot_read(path):
    assert load_run(ROOT / "configs/demo.yaml", [f"data.train={path}"]).data.train == path


@pytest.mark.parametrize("value", ["*x", "{a: b}.tsv", "{a", "{a,b} .tsv", "*/\x1b[2J", "{a}{"])
def test_other_text_that_yaml_cannot_read_is_one_sentence(value):
    with pytest.raises(ConfigError, match="-o data.train="):
        load_run(ROOT / "configs/demo.yaml", [f"data.train={value}"])

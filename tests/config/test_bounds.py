"""No number of a configuration is taken that cannot give finite, sensible numbers; key and bound are named."""

import dataclasses
import json
import math
import typing

import pytest

from ernie_vil2.checkpoints.layouts.pixels import profile_of
from ernie_vil2.config.augmentation import AugmentationConfig
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.optimizer import FreezeRule, GroupRule, OptimizerConfig
from ernie_vil2.config.run import ObjectiveConfig, RunConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig, ImageTowerConfig, TextTowerConfig
from ernie_vil2.data.sources.mix import checked_weight
from ernie_vil2.errors import ConfigError
from ernie_vil2.schema import as_dict, build
from tests.conftest import ROOT

ABSURD = [1e30, -1e30, 10**24, -(10**24), 10**400, math.nan, math.inf, -math.inf]


def members(hint):
    """A type with what stands in it."""
    return [hint, *(part for item in typing.get_args(hint) for part in members(item))]


def classes(cls):
    """All dataclasses of a configuration."""
    found = {cls}
    for hint in typing.get_type_hints(cls).values():
        found |= {part for member in members(hint) if dataclasses.is_dataclass(member) for part in classes(member)}
    return found


def numbers():
    """[(class, field, how many values)] of every number of a run's configuration."""
    found = []
    for cls in sorted(classes(RunConfig) | {GroupRule, FreezeRule}, key=lambda cls: cls.__name__):
        hints = typing.get_type_hints(cls)
        for item in dataclasses.fields(cls):
            if {int, float} & set(members(hints[item.name])):
                found.append((cls, item.name, item.metadata.get("length")))
    return found


@pytest.mark.parametrize("cls, name, length", numbers(), ids=lambda item: getattr(item, "__name__", item))
def test_no_number_is_without_bounds(cls, name, length):
    for absurd in ABSURD:
        value = absurd if length is None else [*[0.5] * (length - 1), absurd]
        with pytest.raises(ConfigError, match=name):
            build(cls, {name: value}, "run.yaml")


def test_the_test_above_sees_the_numbers():
    assert len(numbers()) > 75 and (PixelProfile, "std", 3) in numbers() and (GroupRule, "lr", None) in numbers()


@pytest.mark.parametrize(
    "cls, values, named",
    [
        (PixelProfile, {"std": [0, 1, 1]}, "std is .* but must be at least 0.001 in every value"),
        (PixelProfile, {"std": [-0.2, 1, 1]}, "std"),
        (PixelProfile, {"mean": [123.7, 116.3, 103.5]}, "mean is .* but must be at most 1.0 in every value"),
        (PixelProfile, {"size": 10**12}, "size is 1000000000000 but must be at most 8192"),
        (TextTowerConfig, {"epsilon": 1e30}, "epsilon is 1e.30 but must be at most 0.1"),
        (ImageTowerConfig, {"epsilon": 1e-46}, "epsilon is 1e-46 but must be at least 1e-12"),
        (EfficientNetConfig, {"epsilon": 0}, "epsilon"),
        (TextTowerConfig, {"dropout": 0.99999999}, "dropout is .* but must be at most 0.99"),
        (OptimizerConfig, {"epsilon": 1e-46}, "epsilon"),
        (OptimizerConfig, {"beta2": 0.99999999}, "beta2 is .* but must be at most 0.999999"),
        (OptimizerConfig, {"layer_decay": 2.0}, "layer_decay"),
        (OptimizerConfig, {"lr": 0.5, "weight_decay": 3.0}, "weight_decay 3 at the learning rate 0.5 .*; lower one"),
        (OptimizerConfig, {"lr": 0.1, "groups": [{"match": "a", "lr": 20}]}, r"groups\[0\].lr makes .* of 2; lower it"),
        (OptimizerConfig, {"lr": 0.1, "groups": [{"match": "a", "weight_decay": 20}]}, r"groups\[0\]: weight_decay 20"),
        (AugmentationConfig, {"crop_scale": 1e-9}, "crop_scale"),
        (AugmentationConfig, {"blur_sigma": [1e-30, 1]}, "blur_sigma"),
        (ObjectiveConfig, {"pairs": [["image", "caption", 1e300]]}, "weight 1e.300 of image-caption"),
        (ObjectiveConfig, {"pairs": [["image", "caption", 1e-300]]}, "weight 1e-300 of image-caption"),
    ],
)
def test_what_is_beyond_a_bound_is_one_sentence(cls, values, named):
    with pytest.raises(ConfigError, match=named):
        build(cls, values, "run.yaml")


def test_recipe_and_model_directory_name_the_key(tmp_path):
    recipe = next(path for path in sorted((ROOT / "configs").rglob("*.yaml")) if "init:" not in path.read_text())
    with pytest.raises(ConfigError, match=r"model.pixels.std is \(0.0, 1.0, 1.0\) but must be at least 0.001"):
        load_run(recipe, ["model.pixels.std=[0, 1, 1]"])
    content = as_dict(ModelConfig())
    content["text_tower"]["epsilon"] = 1e30
    content = json.loads(json.dumps(content))
    with pytest.raises(ConfigError, match="config.json: text_tower.epsilon is 1e.30 but must be at most 0.1"):
        ModelConfig.from_dict(content, str(tmp_path / "config.json"))


def test_settings_of_another_project_are_held_to_the_same_bounds():
    profile, _ = profile_of({"image_std": [0, 1, 1], "size": 224, "crop_size": 224}, 224, PixelProfile())
    with pytest.raises(ConfigError, match="pixels.std"):
        ModelConfig.from_dict(as_dict(ModelConfig(pixels=profile)))


@pytest.mark.parametrize("weight", [1e-300, 1e300, 10**400])
def test_a_weight_of_a_mix_has_bounds(weight):
    with pytest.raises(ConfigError, match="entry 1 is .*; give a number above 0, 1e-9 to 1e9"):
        checked_weight(0, {"source": "a", "weight": weight})

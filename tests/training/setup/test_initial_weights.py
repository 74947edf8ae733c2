"""Where a run starts: a tower of other weights keeps all but a head that does not fit."""

import dataclasses

import numpy as np
import pytest
import yaml

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.load import load_run
from ernie_vil2.config.model import ModelConfig, PixelProfile
from ernie_vil2.config.run import RunConfig
from ernie_vil2.config.tower_fields import ImageTowerConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.schema import build
from ernie_vil2.training.setup.initial_weights import check_init, start_system

IMAGE = {"width": 32, "depth": 1, "heads": 2, "image_size": 32, "patch_size": 8}
TEXT = {"width": 32, "depth": 1, "heads": 2, "vocab_size": 20, "positions": 16}


def image_directory(folder, projection):
    """Path and arrays of a directory of an image tower alone."""
    config = ModelConfig(
        image_tower=ImageTowerConfig(**IMAGE, projection=projection), text_tower=None, pixels=PixelProfile(size=32)
    )
    arrays = {key: value.numpy() for key, value in new_model(config, seed=5).state_dict().items()}
    save_model(folder / "image", arrays, config, None)
    return folder / "image", arrays


@pytest.mark.parametrize(
    ("theirs", "ours", "note"),
    [
        (16, 0, "a projection to 16, so that of the image tower is left out"),
        (16, 32, "a projection to 16, so that of the image tower starts at random"),
        (0, 32, "no projection, so that of the image tower starts at random"),
        (32, 32, None),
    ],
)
def test_a_head_of_another_width_is_left_out_and_said(tmp_path, theirs, ours, note):
    path, arrays = image_directory(tmp_path, theirs)
    model = {"image_tower": {**IMAGE, "projection": ours}, "text_tower": TEXT, "pixels": {"size": 32}, "max_length": 16}
    config = build(RunConfig, {"model": model, "init": {"image": str(path)}, "data": {"train": "x"}}, "test.yaml")
    notes = check_init(config, None)
    assert [part for part in notes if "projection" in part] == ([f"{path} has {note}"] if note else [])
    state = start_system(config, []).model.state_dict()
    same = [key for key in arrays if key in state and np.array_equal(state[key].numpy(), arrays[key])]
    assert set(arrays) - set(same) == ({"visual.proj.weight"} if theirs and theirs != ours else set())
    assert ("visual.proj.weight" in state) == bool(ours)


def test_a_random_head_that_is_locked_is_said(tmp_path):
    path, _ = image_directory(tmp_path, 0)
    model = {"image_tower": {**IMAGE, "projection": 32}, "text_tower": TEXT, "pixels": {"size": 32}, "max_length": 16}
    data = {"model": model, "init": {"image": str(path)}, "data": {"train": "x"}}
    for freeze, said in (
        ([{"match": r"visual\..*"}], True),
        ([{"match": r"visual\.blocks.*"}], False),
        ([{"match": r"visual\..*", "until": 5}], False),
    ):
        config = build(RunConfig, {**data, "optimizer": {"freeze": freeze}}, "test.yaml")
        assert any("optimizer.freeze keeps it" in note for note in check_init(config, None)) == said


def test_a_recipe_need_not_repeat_what_belongs_to_the_weights_of_a_tower(tmp_path):
    pixels = PixelProfile(size=32, mean=(0.5, 0.5, 0.5))
    odd = ImageTowerConfig(**IMAGE, epsilon=1e-3, activation="relu", patch_bias=True)
    config = ModelConfig(image_tower=odd, text_tower=None, pixels=pixels)
    arrays = {key: value.numpy() for key, value in new_model(config).state_dict().items()}
    save_model(tmp_path / "image", arrays, config, None)
    recipe = tmp_path / "recipe.yaml"

    def model(image_tower, **more):
        data = {
            "data": {"train": "x"},
            "init": {"image": str(tmp_path / "image")},
            "model": {"image_tower": image_tower, "text_tower": TEXT, "max_length": 16, **more},
        }
        recipe.write_text(yaml.safe_dump(data), encoding="utf-8")
        return load_run(recipe)

    taken = model({"drop_path": 0.2})
    assert taken.model.image_tower == dataclasses.replace(odd, drop_path=0.2) and taken.model.pixels == pixels
    assert check_init(taken, None) == []
    with pytest.raises(ConfigError, match=r"image_tower.epsilon is 0.001 in .* and 1e-05 here"):
        check_init(model({"epsilon": 1e-5}), None)
    with pytest.raises(ConfigError, match=r"fit model: pixels.mean is \(0.5, 0.5, 0.5\) in .* and \(0.1, .*\) here"):
        check_init(model({}, pixels={"size": 32, "mean": [0.1, 0.1, 0.1]}), None)
    other = model({"kind": "efficientnet", "variant": "b0", "image_size": 32, "projection": 32}, pixels={"size": 32})
    assert other.model.image_tower.epsilon == 1e-3 and other.model.pixels.mean != pixels.mean
    with pytest.raises(ConfigError, match="image_tower.kind is vit"):
        check_init(other, None)


def test_a_tower_that_is_not_there_cannot_be_taken(tmp_path):
    path, _ = image_directory(tmp_path, 0)
    config = build(RunConfig, {"init": {"text": str(path)}, "data": {"train": "x"}}, "test.yaml")
    with pytest.raises(ConfigError, match="has no text tower"):
        check_init(config, None)

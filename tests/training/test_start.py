"""Where a run starts: a tower of other weights keeps all but a head that does not fit."""

import numpy as np
import pytest

from ernie_vil2.checkpoints.store import save_model
from ernie_vil2.config import RunConfig
from ernie_vil2.errors import ConfigError
from ernie_vil2.model_config import ImageTowerConfig, ModelConfig, PixelProfile
from ernie_vil2.models.dual_encoder import new_model
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.schema import build
from ernie_vil2.training.start import check_init, start_model

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


@pytest.mark.parametrize(("theirs", "ours", "note"), [
    (16, 0, "a projection to 16, so that of the image tower is left out"),
    (16, 32, "a projection to 16, so that of the image tower starts at random"),
    (0, 32, "no projection, so that of the image tower starts at random"),
    (32, 32, None)])  # fmt: skip
def test_a_head_of_another_width_is_left_out_and_said(tmp_path, theirs, ours, note):
    path, arrays = image_directory(tmp_path, theirs)
    model = {
        "image_tower": {**IMAGE, "projection": ours}, "text_tower": TEXT, "pixels": {"size": 32}, "max_length": 16
    }  # fmt: skip
    config = build(RunConfig, {"model": model, "init": {"image": str(path)}, "data": {"train": "x"}}, "test.yaml")
    notes = check_init(config, None)
    assert [part for part in notes if "projection" in part] == ([f"{path} has {note}"] if note else [])
    state = start_model(config, ContrastiveObjective(config.objective)).state_dict()
    same = [key for key in arrays if key in state and np.array_equal(state[key].numpy(), arrays[key])]
    assert set(arrays) - set(same) == ({"visual.proj.weight"} if theirs and theirs != ours else set())
    assert ("visual.proj.weight" in state) == bool(ours)


def test_a_tower_that_is_not_there_cannot_be_taken(tmp_path):
    path, _ = image_directory(tmp_path, 0)
    config = build(
        RunConfig, {"init": {"text": str(path)}, "data": {"train": "x"}}, "test.yaml"
    )
    with pytest.raises(ConfigError, match="has no text tower"):
        check_init(config, None)

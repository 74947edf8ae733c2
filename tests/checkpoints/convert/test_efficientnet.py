"""EfficientNets in the keys of PaddleClas and timm: recognised, read bit for bit, written back, refused."""

from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.checkpoints import layout
from ernie_vil2.checkpoints.convert import efficientnet as convert
from ernie_vil2.checkpoints.convert.layouts import Found
from ernie_vil2.checkpoints.store import open_model, save_model
from ernie_vil2.errors import CheckpointError
from ernie_vil2.model_config import EFFICIENTNETS, EfficientNetConfig, ModelConfig, PixelProfile
from ernie_vil2.models.dual_encoder import image_tower

PADDLECLAS, TIMM = convert.LAYOUTS


class Shapes(dict):
    """A state of which only shapes are asked."""

    def spec(self, key):
        return layout.spec_of({key: np.broadcast_to(np.float32(0), self[key])}, key)


def config_of(variant, **changes):
    tower = EfficientNetConfig(**{"variant": variant, "image_size": 32, "projection": 0, "padding": "same", **changes})
    return ModelConfig(image_tower=tower, text_tower=None, pixels=PixelProfile(size=32))


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(0)
    shapes = layout.manifest(config_of("b0"))
    return {key: rng.standard_normal(shape, np.float32) for key, shape in shapes.items()}


@pytest.mark.parametrize("kind", convert.LAYOUTS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("variant", EFFICIENTNETS)
def test_every_variant_is_known_by_its_keys(kind, variant):
    theirs = Shapes(kind.write(layout.manifest(config_of(variant)), config_of(variant)))
    assert [other.name for other in convert.LAYOUTS if other.fits(theirs)] == [kind.name]
    read = kind.read(Found(theirs, Path("weights")))
    pixels = read.config.pixels
    assert (read.config.image_tower.variant, read.config.image_tower.padding) == (variant, "same")
    assert pixels.size == EFFICIENTNETS[variant][2] and pixels.resize_to > pixels.size
    assert set(read.state) == set(layout.manifest(read.config))


@pytest.mark.parametrize("kind", convert.LAYOUTS, ids=lambda kind: kind.name)
def test_there_and_back_is_the_same_bits_and_a_model_directory(kind, state, tmp_path, assert_same_bits):
    theirs = kind.write(state, config_of("b0"))
    theirs["_fc.weight" if kind is PADDLECLAS else "classifier.weight"] = np.zeros((4, 5), np.float32)
    if kind is TIMM:
        theirs["bn1.num_batches_tracked"] = np.zeros((), np.int64)
    read = kind.read(Found(theirs, Path("weights")))
    assert_same_bits(dict(read.state), state)
    assert [note for note in read.notes if note.startswith("left out: 1 tensors of")]
    save_model(tmp_path / "model", read.state, read.config, None)
    saved, config, vocab = open_model(tmp_path / "model")
    assert config == read.config and vocab is None
    tower = image_tower(config.image_tower)
    assert {f"visual.{key}" for key in tower.state_dict()} == set(saved)


def test_timms_own_configuration_is_believed(state):
    theirs = TIMM.write(state, config_of("b0"))
    about = {"input_size": [3, 260, 260], "crop_pct": 0.9, "mean": [0.5] * 3, "std": [0.25] * 3}
    settings = {"architecture": "efficientnet_b0", "pretrained_cfg": {**about, "interpolation": "bilinear"}}
    read = TIMM.read(Found(theirs, Path("weights"), settings))
    tower, pixels = read.config.image_tower, read.config.pixels
    assert (tower.padding, tower.epsilon, tower.image_size) == ("dynamic", 1e-5, 260)
    assert (pixels.size, pixels.resize_to, pixels.interpolation, pixels.std[0]) == (260, 288, "linear", 0.25)
    guessed = TIMM.read(Found(theirs, Path("weights")))
    assert "put its config.json beside the weights" in " ".join(guessed.notes)


def test_what_does_not_fit_is_listed(state):
    theirs = TIMM.write(state, config_of("b0"))
    broken = {key: value for key, value in theirs.items() if key != "blocks.2.1.se.conv_expand.bias"}
    broken["bn2.weight"] = np.zeros(3, np.float32)
    with pytest.raises(CheckpointError) as error:
        TIMM.read(Found(broken, Path("weights")))
    assert "blocks.2.1.se.conv_expand.bias" in str(error.value) and "bn2.weight (wanted [1280]" in str(error.value)
    with pytest.raises(CheckpointError, match="40 features whose blocks are not those of b0"):
        TIMM.read(Found({**theirs, "conv_head.weight": np.zeros((40, 3, 3, 3), np.float32)}, Path("weights")))
    with pytest.raises(CheckpointError, match="without a projection"):
        TIMM.write(state, config_of("b0", projection=8))

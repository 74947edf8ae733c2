"""EfficientNets in the keys of PaddleClas and timm: recognised, read bit for bit, written back, refused."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ernie_vil2.checkpoints import release_layout
from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.layouts import efficientnet as convert
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig, PixelProfile
from ernie_vil2.config.tower_fields import EFFICIENTNETS, EfficientNetConfig
from ernie_vil2.conversion.convert import convert as run
from ernie_vil2.errors import CheckpointError, UserError
from ernie_vil2.models.dual_encoder import layer_of

PADDLECLAS, TIMM = convert.LAYOUTS


TIMM_PIXELS = {"decoder": "pil", "interpolation": "bicubic", "resize": "torchvision", "size": 32}


class Shapes(dict):
    """A state of which only shapes are asked."""

    def spec(self, key):
        return release_layout.spec_of({key: np.broadcast_to(np.float32(0), self[key])}, key)


def config_of(variant, **changes):
    tower = EfficientNetConfig(**{"variant": variant, "image_size": 32, "projection": 0, "padding": "same", **changes})
    return ModelConfig(image_tower=tower, text_tower=None, pixels=PixelProfile(size=32))


@pytest.fixture(scope="module")
def state():
    rng = np.random.default_rng(0)
    shapes = release_layout.manifest(config_of("b0"))
    return {key: rng.standard_normal(shape, np.float32) for key, shape in shapes.items()}


@pytest.mark.parametrize("kind", convert.LAYOUTS, ids=lambda kind: kind.name)
@pytest.mark.parametrize("variant", EFFICIENTNETS)
def test_every_variant_is_known_by_its_keys(kind, variant):
    theirs = Shapes(kind.write(release_layout.manifest(config_of(variant)), config_of(variant)))
    assert [other.name for other in convert.LAYOUTS if other.fits(theirs)] == [kind.name]
    read = kind.read(Found(theirs, Path("weights")))
    pixels = read.config.pixels
    assert (read.config.image_tower.variant, read.config.image_tower.padding) == (variant, "same")
    assert pixels.size == EFFICIENTNETS[variant][2] and pixels.resize_to > pixels.size
    assert set(read.state) == set(release_layout.manifest(read.config))


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
    tower = layer_of(config.image_tower)
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


@pytest.mark.parametrize(
    "told, named",
    [
        ({"model_args": {"bn_eps": 1e30}}, "image_tower.epsilon is 1e.30 but must be at most 0.1"),
        ({"pretrained_cfg": {"std": [1e-30] * 3}}, "pixels: std"),
        ({"pretrained_cfg": {"crop_pct": 1e-9}}, "pixels: resize_to"),
    ],
)
def test_settings_that_give_no_finite_numbers_are_refused(state, tmp_path, told, named):
    save_model(tmp_path / "model", state, config_of("b0"), None)
    run(tmp_path / "model", tmp_path / "torch", "torch", check=False)
    about = json.loads((tmp_path / "torch/config.json").read_text())
    about.pop("pixels", None)
    (tmp_path / "torch/config.json").write_text(json.dumps(about | told))
    with pytest.raises(UserError, match=f"{tmp_path}/torch.*: {named}"):
        run(tmp_path / "torch", tmp_path / "back", check=False)


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


PROFILES = {
    "of timm": (PixelProfile(**TIMM_PIXELS, resize_to=40), 0),
    "without a margin": (PixelProfile(**TIMM_PIXELS), 0),
    "linear": (PixelProfile(**TIMM_PIXELS | {"interpolation": "linear", "mean": (0.5, 0.4, 0.3)}, resize_to=37), 0),
    "that timm has not": (PixelProfile(size=32), 1),
}


@pytest.mark.parametrize("name", PROFILES)
@pytest.mark.parametrize("padding, epsilon", (("same", 1e-3), ("dynamic", 1e-5), ("dynamic", 1e-3)))
def test_configuration_and_pixels_survive_the_way_to_torch_and_back(state, tmp_path, name, padding, epsilon):
    config = config_of("b0", padding=padding, epsilon=epsilon)
    config.pixels, notes = PROFILES[name]
    save_model(tmp_path / "model", state, config, None)
    said = run(tmp_path / "model", tmp_path / "torch", "torch", check=False)
    assert sum("timm has no form of this model's pixel profile" in line for line in said) == notes
    about = json.loads((tmp_path / "torch/config.json").read_text())
    usual = (padding, epsilon) != ("dynamic", 1e-3)
    assert ("model_args" in about) == any("created with bn_eps" in line for line in said) == (not usual)
    assert ("mean" in about["pretrained_cfg"]) == (not notes)
    lines = run(tmp_path / "torch", tmp_path / "back", check=False)
    assert open_model(tmp_path / "back")[1] == config and not any("assumed" in line for line in lines)
    if not notes:  # as timm reads it
        del about["pixels"]
        (tmp_path / "torch/config.json").write_text(json.dumps(about))
        run(tmp_path / "torch", tmp_path / "timm", check=False)
        found = open_model(tmp_path / "timm")[1].pixels
        assert dataclasses.replace(found, resize_to=config.pixels.resize_to) == config.pixels
        assert (found.resize_to or 32) == (config.pixels.resize_to or 32)


def test_pixels_that_nothing_tells_are_said_to_be_assumed(state):
    theirs = TIMM.write(state, config_of("b0"))
    read = TIMM.read(Found(theirs, Path("weights"), {"architecture": "tf_efficientnet_b0"}))
    assert read.notes == [
        "its config.json does not say input_size, crop_pct, interpolation, mean, std of its pixels: "
        "those of timm's tf_efficientnet_b0 are assumed"
    ]
    for kind in convert.LAYOUTS:
        read = kind.read(Found(kind.write(state, config_of("b0")), Path("weights"), {"pixels": "clip"}))
        assert read.config.pixels.mean == PIXEL_PROFILES["clip"].mean and read.config.pixels.size == 224
        with pytest.raises(CheckpointError, match="the presets are"):
            kind.read(Found(kind.write(state, config_of("b0")), Path("weights"), {"pixels": "klip"}))


def test_options_that_an_efficientnet_does_not_have_are_refused(state, tmp_path):
    write_pdparams(tmp_path / "b0.pdparams", PADDLECLAS.write(state, config_of("b0")))
    with pytest.raises(CheckpointError, match="PaddleClas EfficientNet takes no option heads: it takes pixels"):
        run(tmp_path / "b0.pdparams", tmp_path / "x", options={"heads": 3})

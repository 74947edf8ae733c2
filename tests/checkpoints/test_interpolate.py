"""Weights between two models: exactly between, both ends whole, and refused where there is no between."""

import dataclasses
import json

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.interpolate import interpolate
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.checkpoints.release_layout import manifest
from ernie_vil2.cli.interpolate import main
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.errors import CheckpointError, ConfigError


@pytest.fixture
def write(tmp_path, tiny_config, tiny_vocab):
    """Function (name, seed, config, vocab) -> path of a model directory of random weights."""

    def directory(name, seed, config=tiny_config, vocab=tiny_vocab, **more):
        rng = np.random.default_rng(seed)
        state = {key: rng.normal(size=shape).astype(np.float32) for key, shape in manifest(config).items()}
        save_model(tmp_path / name, {**state, **more}, config, vocab)
        return tmp_path / name

    return directory


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_every_tensor_is_between(write, tmp_path, share, capsys):
    first, second = write("a", 0), write("b", 1)
    assert main([str(first), str(second), str(tmp_path / "c"), "--share", str(share)]) is None
    states = [open_model(path)[0] for path in (first, second, tmp_path / "c")]
    for key in states[2]:
        one, two, found = (state[key] for state in states)
        if share in (0.0, 1.0):
            assert np.array_equal(found, two if share else one), key
        np.testing.assert_allclose(found, (1 - share) * one + share * two, rtol=1e-6, atol=1e-6, err_msg=key)
    assert ernie_vil2.load(tmp_path / "c").encode_text("红色的圆").shape == (1, 32)
    extra = json.loads((tmp_path / "c/config.json").read_text())["extra"]
    assert extra == {"between": [str(first), str(second)], "share": share}
    assert "wrote" in capsys.readouterr().out


def test_a_temperature_that_only_one_has_is_left_out_and_dropout_may_differ(write, tmp_path, tiny_config):
    tower = dataclasses.replace(tiny_config.text_tower, dropout=0.3)
    other = dataclasses.replace(tiny_config, text_tower=tower)
    first = write("a", 0, **{"contrastive_loss_tt.temperature_b": np.ones(1, np.float32)})
    interpolate(first, write("b", 1, other), tmp_path / "c")
    state, config, _ = open_model(tmp_path / "c")
    assert "contrastive_loss_tt.temperature_b" not in state and config.text_tower.dropout == 0.3


def test_other_sizes_arithmetic_and_vocabularies_are_refused_in_one_sentence(write, tmp_path, tiny_config):
    first = write("a", 0)
    tower = dataclasses.replace(tiny_config.image_tower, depth=3, activation="relu")
    other = write("b", 1, dataclasses.replace(tiny_config, image_tower=tower))
    with pytest.raises(ConfigError, match=r"differ in image_tower.depth \(2 and 3\), image_tower.activation") as error:
        interpolate(first, other, tmp_path / "c")
    assert "\n" not in str(error.value)
    (tmp_path / "words.txt").write_bytes((first / "vocab.txt").read_bytes().replace("红".encode(), "紫".encode()))
    with pytest.raises(ConfigError, match="the vocabularies"):
        interpolate(first, write("d", 1, vocab=tmp_path / "words.txt"), tmp_path / "c")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("share", [-0.1, 1.1, float("nan")])
def test_a_share_outside_is_refused(write, tmp_path, share):
    with pytest.raises(ConfigError, match=r"in \[0, 1\]"):
        interpolate(write("a", 0), write("b", 1), tmp_path / "c", share)


def test_neither_model_is_overwritten(write, tmp_path):
    first = write("a", 0)
    with pytest.raises(CheckpointError, match="one of the two"):
        interpolate(first, write("b", 1), tmp_path / "x" / ".." / "a")
    with pytest.raises(CheckpointError, match="does not exist"):
        interpolate(first, tmp_path / "none", tmp_path / "c")


def test_other_towers_and_other_kinds_are_one_short_sentence(write, tmp_path, tiny_config):
    both = write("a", 0)
    image, text = (dataclasses.replace(tiny_config, **{f"{name}_tower": None}) for name in ("text", "image"))
    alone, other = write("image", 1, image), write("text", 1, text)
    for first, second, said in (
        (both, alone, r"their towers \(image \+ text, against image\), so"),
        (other, both, r"their towers \(text, against image \+ text\), so"),
        (alone, other, r"their towers \(image, against text\), so"),
    ):
        with pytest.raises(ConfigError, match=said):
            main([str(first), str(second), str(tmp_path / "c")])
    network = EfficientNetConfig(image_size=32, projection=32)
    kind = write("b0", 1, dataclasses.replace(tiny_config, image_tower=network))
    with pytest.raises(ConfigError, match=r"differ in image_tower.kind \(vit and efficientnet\), so"):
        interpolate(both, kind, tmp_path / "c")
    towers = (
        dataclasses.replace(tower, width=64, heads=4, depth=3, epsilon=1e-6)
        for tower in (tiny_config.image_tower, tiny_config.text_tower)
    )
    big = dict(zip(("image_tower", "text_tower"), towers, strict=True))
    big = write("big", 1, dataclasses.replace(tiny_config, **big))
    with pytest.raises(ConfigError, match=r" and [3-9] more, so there is nothing") as error:
        interpolate(both, big, tmp_path / "c")
    assert len(str(error.value).split(" so ")[0].split(",")) <= 5


def test_between_two_image_towers(write, tmp_path, tiny_config):
    alone = dataclasses.replace(tiny_config, text_tower=None)
    interpolate(write("a", 0, alone), write("b", 1, alone), tmp_path / "c")
    assert open_model(tmp_path / "c")[1] == alone

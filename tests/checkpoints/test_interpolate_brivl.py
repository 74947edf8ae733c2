"""Weights between two BriVLs: a converted one and the run that went on from it, and what no model reads."""

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.torch_file import open_torch
from ernie_vil2.checkpoints.interpolate import interpolate
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.checkpoints.release_layout import UNUSED
from ernie_vil2.conversion.convert import convert
from ernie_vil2.errors import ConfigError
from ernie_vil2.training.setup.completion import complete_settings
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts import brivl_weights as small
from tests.conftest import VOCABULARY


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with the model directory `model` of a small released file, twins and all."""
    folder = tmp_path_factory.mktemp("between")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    (folder / "source.pth").write_bytes(state_file(small.released(), lambda plan: {"learnable": plan}))
    vocab = folder / "vocab.txt"
    convert(folder / "source.pth", folder / "model", vocab=vocab, options=small.OPTIONS, check=False)
    return folder


def descendant(folder, **settings):
    """Write the model directory `run`: weights that moved, in the configuration that a run completes and keeps."""
    state, config, vocab = open_model(folder / "model")
    config.settings = {"embed_dim": config.settings["embed_dim"]} | small_sizes(config) | settings
    complete_settings(config)
    config.settings["dropout"], config.image_tower.batch_norm = 0.0, "train"
    config.image_tower.norm_momentum, config.image_tower.norm_variance = 0.99, "biased"
    moved = {key: state[key] + 1 for key in state if not key.startswith((UNUSED, "momentum."))}
    save_model(folder / "run", moved, config, vocab)


def small_sizes(config):
    return {key: config.settings[key] for key in ("layers", "hidden", "feed_forward")}


def test_a_converted_model_and_the_run_that_went_on_from_it_have_a_between(folder):
    descendant(folder)
    interpolate(folder / "model", folder / "run", folder / "between", 0.25)
    first, (found, config, _) = open_model(folder / "model")[0], open_model(folder / "between")
    assert config.image_tower.batch_norm == "train" and set(found) == set(open_model(folder / "run")[0])
    for key in found:
        np.testing.assert_allclose(found[key], first[key] + 0.25, rtol=1e-5, atol=1e-6, err_msg=key)


def test_settings_that_change_an_inference_are_told_apart(folder):
    descendant(folder, cells=3)
    with pytest.raises(ConfigError, match=r"differ in settings.cells \(4 and 3\), so there is nothing"):
        interpolate(folder / "model", folder / "run", folder / "none")
    assert not (folder / "none").exists()


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_between_a_model_and_itself_the_released_file_comes_back(folder, share, assert_same_bits):
    interpolate(folder / "model", folder / "model", folder / "same", share, replace=True)
    convert(folder / "same", folder / "back.pth", to="brivl", check=False, replace=True)
    assert_same_bits(dict(open_torch(folder / "back.pth")), small.released())


def test_what_no_model_reads_is_the_seconds(folder):
    state, config, vocab = open_model(folder / "model")
    other = {key: state[key] + (3 if key.startswith(UNUSED) else 0) for key in state}
    save_model(folder / "other", other, config, vocab)
    interpolate(folder / "model", folder / "other", folder / "mixed", 0.5)
    found = open_model(folder / "mixed")[0]
    assert sum(found[key].dtype == np.int64 for key in found) > 80
    for key in (key for key in found if key.startswith(UNUSED)):
        assert found[key].dtype == other[key].dtype and np.array_equal(found[key], other[key])

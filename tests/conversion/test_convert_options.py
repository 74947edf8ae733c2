"""Any value of any option of a conversion gives a configuration or one sentence, before anything is written."""

import os

import numpy as np
import pytest

from ernie_vil2.checkpoints import release_layout
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli import convert
from ernie_vil2.conversion.opened import open_any
from ernie_vil2.errors import UserError
from tests.conversion.test_brivl_configuration import folder as brivl  # noqa: F401

NAMES = ("activation", "heads", "epsilon", "pixels", "projection", "image_size", "max_length", "twins", "grid", "x")
HARD = [
    *(None, True, False, 0, -1, 1, 3, 7.5, 10**9, 10**400, 1e300, float("nan"), float("inf"), "", "x" * 10**5, "a\0b"),
    *("no", "gelu", "brivl", [], {}, [1], ["gelu"], {"size": 10**400}, {"mean": "x"}, {"kind": 3}, {1: 2}, [[[]]]),
]


@pytest.fixture
def towers(tmp_path, tiny_config, tiny_vocab):
    rng = np.random.default_rng(0)
    shapes = release_layout.manifest(tiny_config).items()
    state = {key: 0.2 * rng.standard_normal(shape).astype(np.float32) for key, shape in shapes}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    convert.main([str(tmp_path / "model"), str(tmp_path / "torch"), "--to", "torch", "--no-check"])
    found = {}
    for side in ("image", "text"):
        found[side] = tmp_path / f"{side}.safetensors"
        os.rename(tmp_path / f"torch/{side}/model.safetensors", found[side])
    return found


def taken_or_told(path, vocab, given):
    for value in HARD:
        for name in NAMES:
            try:
                open_any(path, vocab, None, given | {name: value})
            except UserError as error:
                assert len(str(error)) <= 480 and "\n" not in str(error)


@pytest.mark.parametrize("side", ["image", "text"])
def test_any_value_of_an_option_of_a_tower_is_taken_or_told(towers, tiny_vocab, side):
    taken_or_told(towers[side], tiny_vocab, {})


def test_any_value_of_an_option_of_brivl_is_taken_or_told(brivl):  # noqa: F811
    taken_or_told(brivl / "source.pth", brivl / "vocab.txt", {})


def test_truth_values_are_taken_as_they_are_meant(brivl):  # noqa: F811
    path, vocab = brivl / "source.pth", brivl / "vocab.txt"
    found = [open_any(path, vocab, None, {"twins": text}).config for text in ("no", "off", False)]
    assert found[0] == found[1] == found[2]

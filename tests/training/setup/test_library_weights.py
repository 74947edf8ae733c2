"""Weights of a library's file: all that the tower needs must be there, and what else there is is said."""

import numpy as np
import pytest
from paddle import nn

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.errors import ConfigError
from ernie_vil2.training.setup.library_weights import take_file


class Layers(nn.Layer):
    """A matrix, and a pooler that a file may lack."""

    def __init__(self):
        super().__init__()
        self.dense, self.pooler = nn.Linear(3, 4), nn.Linear(4, 4)


@pytest.fixture
def written(tmp_path):
    """Function {key: array} -> path of a file of them."""

    def write(arrays):
        write_pdparams(tmp_path / "weights.pdparams", arrays)
        return tmp_path / "weights.pdparams"

    return write


def arrays_of(layers, prefix=""):
    return {f"{prefix}{key}": np.full(value.shape, 0.5, np.float32) for key, value in layers.state_dict().items()}


def test_a_file_fills_the_layers_with_or_without_the_prefix_of_its_model(written):
    for prefix in ("", "small."):
        layers, notes = Layers(), []
        take_file(layers, written(arrays_of(layers, prefix)), notes, "small.")
        assert {float(value) for tensor in layers.state_dict().values() for value in tensor.flatten()} == {0.5}
        assert notes == []


def test_what_is_spare_stays_random_and_what_is_not_used_is_said(written):
    layers, notes = Layers(), []
    arrays = arrays_of(layers, "small.") | {"small.other": np.zeros(2, np.float32)}
    path = written({key: array for key, array in arrays.items() if "pooler" not in key})
    before = layers.pooler.weight.numpy().copy()
    take_file(layers, path, notes, "small.", spare="pooler.")
    assert np.array_equal(layers.pooler.weight.numpy(), before) and set(layers.dense.bias.tolist()) == {0.5}
    assert notes == [
        f"{path}: pooler.weight is missing, pooler.bias is missing, so it starts at random",
        f"{path}: not used by the tower: small.other",
    ]


def test_a_file_of_another_model_is_named_whole_and_changes_nothing(written, tmp_path):
    layers = Layers()
    before = {key: value.numpy().copy() for key, value in layers.state_dict().items()}
    arrays = arrays_of(layers) | {"dense.bias": np.zeros(5, np.float32)}
    del arrays["pooler.weight"]
    path = written(arrays)
    with pytest.raises(ConfigError) as caught:
        take_file(layers, path, [])
    assert str(caught.value) == (
        f"{path} does not fit this tower: dense.bias is [5] there and [4] here; pooler.weight is missing; give the "
        "weights of the same model"
    )
    assert all(np.array_equal(value.numpy(), before[key]) for key, value in layers.state_dict().items())
    with pytest.raises(ConfigError, match="is not a .pdparams file"):
        take_file(layers, tmp_path / "weights.pth", [])

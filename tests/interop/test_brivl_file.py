"""BriVL's file with torch itself: what torch.save wrote comes back, and torch.load takes what is written here."""

import numpy as np
import pytest
import torch

from ernie_vil2.checkpoints.formats.torch_writer import write_torch
from ernie_vil2.conversion.convert import convert
from tests.checkpoints.layouts import brivl_weights as small
from tests.conftest import VOCABULARY


def assert_same(found, wanted):
    """Keys in their order, types, shapes and bits of two {key: tensor}."""
    assert list(found) == list(wanted)
    for key, tensor in wanted.items():
        assert (found[key].dtype, found[key].shape) == (tensor.dtype, tensor.shape), key
        assert found[key].reshape(-1).view(torch.uint8).equal(tensor.reshape(-1).view(torch.uint8)), key


@pytest.mark.parametrize("zipped", (True, False))
@pytest.mark.parametrize("twins", (True, False))
def test_what_torch_saved_comes_back(tmp_path, zipped, twins):
    state = {key: torch.from_numpy(np.asarray(value)) for key, value in small.released(twins).items()}
    torch.save({"learnable": state}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    (tmp_path / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    convert(tmp_path / "a.pth", tmp_path / "model", options=small.OPTIONS)
    convert(tmp_path / "model", tmp_path / "b.pth", to="brivl")
    wanted = {key: state[key if twins else small.plain_of(key)] for key in small.released()}
    for mapped in (True, False):
        found = torch.load(tmp_path / "b.pth", weights_only=True, mmap=mapped)
        assert list(found) == ["learnable"]
        assert_same(found["learnable"], wanted)


def test_torch_takes_every_type_in_its_strictest_mode(tmp_path):
    kinds = [getattr(torch, name) for name in "float32 float64 float16 int64 int32 int16 int8 uint8".split()]
    wanted = {str(kind): torch.arange(24).reshape(2, 3, 4).to(kind) for kind in kinds}
    wanted |= {"flags": torch.tensor([[True], [False]]), "empty": torch.zeros(0, 3), "one": torch.tensor(7)}
    brain = torch.arange(6).to(torch.bfloat16)
    state = {key: tensor.numpy() for key, tensor in wanted.items()} | {"brain": brain.view(torch.uint16).numpy()}
    with open(tmp_path / "w.pth", "wb") as handle:
        write_torch(handle, state)
    assert_same(torch.load(tmp_path / "w.pth", weights_only=True), wanted | {"brain": brain})

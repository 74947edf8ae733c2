"""Files as torch.save writes them, written without torch: our reader and Python's zipfile find every bit again."""

import hashlib
import io
import struct
import zipfile

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats import torch_writer
from ernie_vil2.checkpoints.formats.torch_file import open_torch
from ernie_vil2.checkpoints.formats.torch_writer import write_torch
from ernie_vil2.errors import CheckpointError

SHAPES = {"w": (3, 4, 1), "count": (), "empty": (0, 3), "flags": (1, 2), "long name.0.weight": (40,)}


@pytest.fixture
def state(random_bits):
    kinds = ("float32", "int64", "float64", "float16", "uint16")
    made = {name: random_bits(shape, kind) for (name, shape), kind in zip(SHAPES.items(), kinds, strict=True)}
    return made | {"flags": np.array([[True, False]]), "few": np.arange(6, dtype=np.int32).reshape(2, 3)}


def written(path, state, container=None):
    with open(path, "wb") as handle:
        write_torch(handle, state, container)
    return path


@pytest.mark.parametrize("container", (None, "learnable"))
@pytest.mark.parametrize("most", (0xFFFFFFFF, 30))
def test_every_bit_is_read_back_in_order(tmp_path, monkeypatch, state, assert_same_bits, container, most):
    """Also with all sizes and places in the zip64 fields that files over 4 GB need."""
    monkeypatch.setattr(torch_writer, "MOST_32", most)
    path = written(tmp_path / "w.pth", state, container)
    found = open_torch(path)
    assert list(found) == list(state)
    assert_same_bits(dict(found), state)
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert [info.compress_type for info in archive.infolist()] == [zipfile.ZIP_STORED] * (len(state) + 3)
    assert (b"PK\x06\x06" in path.read_bytes()) == (most == 30)


def test_data_begin_at_multiples_of_64_bytes(tmp_path, state):
    raw = written(tmp_path / "w.pth", state).read_bytes()
    with zipfile.ZipFile(io.BytesIO(raw)) as archive:
        for info in archive.infolist():
            names, extras = struct.unpack_from("<HH", raw, info.header_offset + 26)
            assert (info.header_offset + 30 + names + extras) % 64 == 0, info.filename


def test_the_same_state_gives_the_same_bytes(tmp_path, state):
    files = [written(tmp_path / name, state).read_bytes() for name in ("a", "b")]
    assert hashlib.sha256(files[0]).digest() == hashlib.sha256(files[1]).digest()


def test_one_tensor_is_in_memory_at_a_time(tmp_path):
    """Every tensor is asked for once, when the one before it is in the file."""

    class Lazy(dict):
        notes, asked = (), []

        def spec(self, key):
            return torch_writer.spec_of(dict(self), key)

        def __getitem__(self, key):
            self.asked.append((key, handle.tell() if key else 0))
            return dict.__getitem__(self, key)

    state = Lazy({str(index): np.full(1000, index, np.float32) for index in range(3)})
    with open(tmp_path / "w.pth", "wb") as handle:
        write_torch(handle, state)
    assert [key for key, _ in state.asked] == ["0", "1", "2"]
    places = [place for _, place in state.asked]
    assert [later - earlier >= 4000 for earlier, later in zip(places, places[1:], strict=False)] == [True, True]


def test_a_type_that_torch_does_not_have_is_one_sentence(tmp_path):
    with pytest.raises(CheckpointError, match="^odd is of type uint32, which a torch file here does not hold"):
        written(tmp_path / "w.pth", {"odd": np.zeros(3, np.uint32)})

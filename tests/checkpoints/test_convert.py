"""tools/convert.py keeps every bit, both ways."""

import os

import numpy as np
import paddle
import pytest

from ernie_vil2.checkpoints import layout
from ernie_vil2.checkpoints.safe_pickle import load_pdparams, write_pdparams
from ernie_vil2.checkpoints.store import open_model
from ernie_vil2.errors import UserError
from tools import convert

SPECIAL = np.array([0x80000000, 0x00000001, 0x7FC00001, 0x7F800001, 0xFFC12345, 0x7F800000], np.uint32).view(np.float32)


@pytest.fixture
def state(tiny_config, random_bits):
    """Random bits in all float types, with -0.0, a denormal, quiet and signalling NaN with payloads; extra keys."""
    for tower in (tiny_config.image_tower, tiny_config.text_tower):
        tower.width, tower.heads = 64, 1
    made = {}
    for index, (key, shape) in enumerate(layout.manifest(tiny_config).items()):
        made[key] = random_bits(shape, ("float32", "uint16", "float16", "float64")[index % 4], index)
    made["visual.norm_post.bias"] = np.resize(SPECIAL, 64)
    return made | {
        "visual.classfy.weight": random_bits((64, 3)),
        "contrastive_loss_tt.temperature_b": random_bits((1,)),
    }


@pytest.mark.parametrize("writer", ("ours", "paddle"))
def test_there_and_back_is_bit_exact(tmp_path, tiny_vocab, state, assert_same_bits, capsys, writer):
    first, directory, last, again = (tmp_path / name for name in ("a.pdparams", "model", "b.pdparams", "again"))
    if writer == "ours":
        write_pdparams(first, state)
    else:
        paddle.save({key: paddle.to_tensor(value) for key, value in state.items()}, str(first))
    assert_same_bits(load_pdparams(first), state)
    convert.main([str(first), str(directory), "--vocab", str(tiny_vocab)])
    assert "official layout" in capsys.readouterr().out
    assert_same_bits(dict(open_model(directory, raw=True)[0]), state)
    convert.main([str(directory), str(last)])
    assert_same_bits(load_pdparams(last), state)
    convert.main([str(last), str(again), "--vocab", str(directory / "vocab.txt")])
    for name in ("model.safetensors", "vocab.txt", "config.json"):
        assert (again / name).read_bytes() == (directory / name).read_bytes()


def test_a_configuration_that_shapes_cannot_tell(tmp_path, tiny_config, tiny_vocab, tiny_state):
    from ernie_vil2.checkpoints.store import save_model

    directory, weights = tmp_path / "model", tmp_path / "w.pdparams"
    save_model(directory, tiny_state, tiny_config, tiny_vocab)
    convert.main([str(directory), str(weights)])
    back = tmp_path / "back"
    convert.main([str(weights), str(back), "--vocab", str(tiny_vocab), "--config", str(directory / "config.json")])
    assert open_model(back)[1] == tiny_config and tiny_config.image_tower.heads == 2


@pytest.mark.parametrize(
    "arguments", (["absent", "x"], ["w.pdparams", "x", "--config", "absent.json"], ["w.pdparams", "x"])
)
def test_what_cannot_be_converted_leaves_nothing(tmp_path, monkeypatch, state, arguments):
    monkeypatch.chdir(tmp_path)
    write_pdparams("w.pdparams", state)
    before = sorted(os.listdir())
    with pytest.raises(UserError):
        convert.main(arguments)
    assert sorted(os.listdir()) == before

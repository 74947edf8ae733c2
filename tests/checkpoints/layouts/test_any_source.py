"""Sources: which file of a folder is taken, shards, prefixes, and what is refused."""

import json
import os
import pickle

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.formats.safetensors_file import write_safetensors
from ernie_vil2.checkpoints.layouts.any_source import open_source
from ernie_vil2.errors import CheckpointError
from tests.checkpoints.formats.torch_zips import legacy_file, state_file

STATE = {"a.weight": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.ones(2, np.float16)}


def safetensors(path, state=STATE):
    with open(path, "wb") as handle:
        write_safetensors(handle, state)


def refused(path, **options):
    with pytest.raises(CheckpointError) as caught:
        open_source(path, **options)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def same(state, wanted=STATE):
    assert sorted(state) == sorted(wanted)
    assert all(
        np.array_equal(state[key], value) and state.spec(key).shape == value.shape for key, value in wanted.items()
    )


WRITERS = {
    "model.safetensors": safetensors,
    "model_state.pdparams": lambda path: write_pdparams(path, STATE),
    "pytorch_model.bin": lambda path: path.write_bytes(state_file(STATE)),
    "old.bin": lambda path: path.write_bytes(legacy_file(STATE)),
    "best.pth": lambda path: path.write_bytes(state_file(STATE)),
    "whatever.ckpt": lambda path: path.write_bytes(state_file(STATE)),
    "safetensors-by-its-first-bytes": safetensors,
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_is_opened_by_what_it_is(tmp_path, name):
    WRITERS[name](tmp_path / name)
    same(open_source(tmp_path / name).state)
    if "." in name and not name.endswith("ckpt"):
        source = open_source(tmp_path)
        same(source.state)
        assert name in source.notes[0]


def test_settings_and_vocabulary_beside_the_weights(tmp_path):
    safetensors(tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_bytes(b"\xef\xbb\xbf" + b'{"hidden_size": 3}\r\n')
    (tmp_path / "tokenizer_config.json").write_text('{"do_lower_case": false}')
    (tmp_path / "vocab.txt").write_text("[PAD]\n")
    for path in (tmp_path, tmp_path / "model.safetensors"):
        source = open_source(path)
        assert source.settings == {"hidden_size": 3} and source.tokenizer == {"do_lower_case": False}
        assert source.vocab == tmp_path / "vocab.txt"
    (tmp_path / "model.safetensors").rename(tmp_path / "mine.safetensors")
    assert open_source(tmp_path / "mine.safetensors").settings == {}  # a config.json beside any file may be another's
    assert open_source(tmp_path / "mine.safetensors", settings=tmp_path / "config.json").settings
    (tmp_path / "config.json").write_text("[1]")
    assert "not a dictionary" in refused(tmp_path)
    (tmp_path / "config.json").write_text("[" * 100_000)
    assert "cannot read" in refused(tmp_path)


@pytest.mark.parametrize("prefix", ("module.", "_orig_mod.", "module._orig_mod.model."))
def test_a_prefix_of_every_key_is_taken_off_and_said(tmp_path, prefix):
    safetensors(tmp_path / "w.safetensors", {prefix + key: value for key, value in STATE.items()})
    source = open_source(tmp_path / "w.safetensors")
    same(source.state)
    assert f"`{prefix}`" in source.notes[-1]


def test_a_prefix_of_some_keys_stays(tmp_path):
    state = {"module.a": STATE["b"], "b": STATE["b"]}
    safetensors(tmp_path / "w.safetensors", state)
    same(open_source(tmp_path / "w.safetensors").state, state)


def index(folder, weight_map, name="model.safetensors.index.json"):
    (folder / name).write_text(json.dumps({"weight_map": weight_map}))


def test_shards(tmp_path):
    for place, key in enumerate(STATE):
        safetensors(tmp_path / f"model-{place}.safetensors", {key: STATE[key]})
    index(tmp_path, {key: f"model-{place}.safetensors" for place, key in enumerate(STATE)})
    source = open_source(tmp_path)
    same(source.state)
    assert any("2 files" in note for note in source.notes)


@pytest.mark.parametrize(
    "weight_map, said",
    [
        ({"a.weight": "../outside.safetensors"}, "which file beside it"),
        ({"a.weight": "/etc/passwd"}, "which file beside it"),
        ({"a.weight": ".."}, "which file beside it"),
        ({"a.weight": 3}, "which file beside it"),
        ({}, "which file beside it"),
        ({"absent": "model-0.safetensors"}, "do not hold (absent first)"),
        ({"a.weight": "model-1.safetensors"}, "cannot read"),
    ],
)
def test_an_index_leads_nowhere_else(tmp_path, weight_map, said):
    folder = tmp_path / "folder"
    folder.mkdir()
    safetensors(tmp_path / "outside.safetensors")
    safetensors(folder / "model-0.safetensors")
    index(folder, weight_map)
    assert said in refused(folder)


def test_folders_without_one_weights_file(tmp_path):
    assert "does not exist" in refused(tmp_path / "absent")
    assert "holds no weights" in refused(tmp_path)
    for name in ("one.bin", "two.bin"):
        (tmp_path / name).write_bytes(state_file(STATE))
    assert "one.bin, two.bin" in refused(tmp_path)
    assert "vocabulary" in refused(tmp_path / "one.bin", vocab=tmp_path / "absent.txt")
    assert "cannot read" in refused(tmp_path / "one.bin", settings=tmp_path / "absent.json")


@pytest.mark.parametrize("name", ("pytorch_model.bin", "model_state.pdparams", "model.safetensors", "best.pth"))
def test_what_is_no_weights_file_says_so_of_all_kinds(tmp_path, name):
    pages = (b"<!DOCTYPE html><html>", b"\xef\xbb\xbf\n<html lang='zh'>", b"<?xml version='1.0'?><Error/>")
    others = "这是说明。".encode(), "这是说明。".encode("gbk"), b"see README.md\n", b"\xff\xd8\xff\xe0\x00\x10JFIF"
    for head in (*pages, *others):
        (tmp_path / name).write_bytes(head + b"." * 600)
        said = refused(tmp_path / name)
        assert ("is no weights file of torch, Paddle or safetensors (it begins with '" in said) != (head in pages)
        assert ("is a web page" in said) == (head in pages)


@pytest.mark.parametrize("protocol", (0, 2, 4))
def test_a_plain_pickle_is_refused_by_the_function_it_asks_for(tmp_path, protocol):
    class Asks:
        def __reduce__(self):
            return os.system, (f"touch {tmp_path / 'run'}",)

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(Asks(), protocol))
    assert "asks for posix.system" in refused(tmp_path) and not (tmp_path / "run").exists()


def test_a_folder_of_folders_names_those_with_weights(tmp_path):
    for name in ("text", "image", "docs"):
        (tmp_path / name).mkdir()
    safetensors(tmp_path / "text/model.safetensors")
    safetensors(tmp_path / "image/model.safetensors")
    assert f"holds no weights itself, but {tmp_path / 'image'} and {tmp_path / 'text'} do" in refused(tmp_path)

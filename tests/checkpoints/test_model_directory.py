"""The model directory: whole or refused, whatever happens while it is written or copied."""

import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from ernie_vil2.checkpoints import release_layout
from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.errors import CheckpointError, UserError

FILES = ("config.json", "model.safetensors", "vocab.txt")


@pytest.fixture
def directory(tmp_path, tiny_state, tiny_config, tiny_vocab):
    path = tmp_path / "models" / "tiny"
    save_model(path, tiny_state, tiny_config, tiny_vocab, extra={"step": 7})
    return path


def refused(path, **options):
    """The message of opening `path` and reading all of it."""
    with pytest.raises(UserError) as caught:
        dict(open_model(path, **options)[0])
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_what_is_saved_is_opened(directory, tiny_state, tiny_config, tiny_vocab, assert_same_bits):
    state, config, vocab = open_model(directory)
    assert config == tiny_config and state.notes == []
    assert vocab == directory / "vocab.txt" and vocab.read_bytes() == tiny_vocab.read_bytes()
    assert_same_bits(dict(state), tiny_state)
    assert sorted(os.listdir(directory)) == sorted(FILES) and os.listdir(directory.parent) == ["tiny"]
    assert json.loads((directory / "config.json").read_text(encoding="utf-8"))["extra"] == {"step": 7}


def test_the_safetensors_library_reads_the_weights(directory, tiny_state, assert_same_bits):
    assert_same_bits(load_file(directory / "model.safetensors"), tiny_state)


def test_saving_replaces_a_model_directory_by_its_own_content(directory, tiny_state, assert_same_bits):
    state, config, vocab = open_model(directory)
    save_model(directory, state, config, vocab)
    assert_same_bits(dict(open_model(directory)[0]), tiny_state)
    assert os.listdir(directory.parent) == ["tiny"]


def test_a_state_that_does_not_fit_is_not_saved(directory, tiny_state, tiny_config, tiny_vocab, assert_same_bits):
    incomplete = {key: value for key, value in tiny_state.items() if not key.endswith("pooler.bias")}
    for path in (directory, directory.parent / "new"):
        with pytest.raises(CheckpointError, match="1 missing"):
            save_model(path, incomplete, tiny_config, tiny_vocab)
    assert_same_bits(dict(open_model(directory)[0]), tiny_state)
    assert os.listdir(directory.parent) == ["tiny"]


def test_nothing_but_a_model_directory_is_replaced(tmp_path, tiny_state, tiny_config, tiny_vocab):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "cat.jpg").write_bytes(b"cat")
    (tmp_path / "notes").write_bytes(b"notes")
    for name in ("photos", "notes"):
        with pytest.raises(CheckpointError, match="not a model directory, so it is not replaced"):
            save_model(tmp_path / name, tiny_state, tiny_config, tiny_vocab)
    assert (tmp_path / "photos" / "cat.jpg").exists() and (tmp_path / "notes").read_bytes() == b"notes"


@pytest.mark.parametrize("vocabulary", (None, b"", b" \n"))
def test_a_bad_vocabulary_is_not_saved(tmp_path, tiny_state, tiny_config, vocabulary):
    vocab = tmp_path / "v.txt"
    if vocabulary is not None:
        vocab.write_bytes(vocabulary)
    with pytest.raises(CheckpointError, match="ernie-vil2-vocab-zh"):
        save_model(tmp_path / "model", tiny_state, tiny_config, vocab)
    assert not [path for path in tmp_path.iterdir() if "model" in path.name]


@pytest.mark.parametrize("name", FILES)
def test_every_partial_copy_is_refused_by_the_file_s_name(directory, name):
    path = directory / name
    data = path.read_bytes()
    path.unlink()
    assert name in refused(directory)
    for length in {0, 1, 7, 8, 9, len(data) // 3, len(data) // 2, len(data) - 2}:
        path.write_bytes(data[:length])
        assert name in refused(directory)
        if name != "config.json":
            path.write_bytes(data[:length] + bytes(len(data) - length))  # copied by a program that allocates first
            assert name in refused(directory)
    path.write_bytes(data)
    open_model(directory)


def test_any_changed_byte_of_the_weights_is_noticed(directory):
    path = directory / "model.safetensors"
    data = path.read_bytes()
    for place in np.linspace(0, len(data) - 1, 60).astype(int):
        changed = bytearray(data)
        changed[place] ^= 0x10
        path.write_bytes(changed)
        assert "model.safetensors" in refused(directory)


def test_files_of_two_directories_do_not_mix(directory, tiny_state, tiny_config, tiny_vocab):
    other = directory.parent / "other"
    tiny_vocab.write_text(tiny_vocab.read_text(encoding="utf-8").replace("红", "橙"), encoding="utf-8")
    save_model(other, {key: -value for key, value in tiny_state.items()}, tiny_config, tiny_vocab)
    for name in ("model.safetensors", "vocab.txt"):
        mixed = directory.parent / "mixed"
        shutil.copytree(directory, mixed)
        shutil.copy(other / name, mixed / name)
        assert f"{name} is not the file that config.json was written with" in refused(mixed)
        shutil.rmtree(mixed)


def test_a_header_that_is_wrong_is_one_sentence(directory):
    path, config = directory / "model.safetensors", json.loads((directory / "config.json").read_text(encoding="utf-8"))
    for data in (b"", b"short", b"\xff" * 100, b"\x10" + bytes(7) + b"{" * 16, (100).to_bytes(8, "little") + b"{}"):
        path.write_bytes(data)
        config["files"]["model.safetensors"]["bytes"] = len(data)
        (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
        assert "model.safetensors" in refused(directory)


@pytest.mark.parametrize(
    "change",
    (
        lambda config: config.pop("files"),
        lambda config: config["files"].pop("vocab.txt"),
        lambda config: config.update(files=3),
        lambda config: config["image_tower"].update(depht=3),
        lambda config: config["files"]["vocab.txt"].update(bytes="many"),
    ),
)
def test_a_changed_configuration_is_one_sentence(directory, change):
    path = directory / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")
    assert str(path) in refused(directory)
    path.write_text("[1]", encoding="utf-8")
    assert str(path) in refused(directory)


CHILD = """
    import os, resource, signal, sys
    from ernie_vil2.checkpoints.model_directory import open_model, save_model
    from ernie_vil2.errors import CheckpointError

    source, target, how, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
    state, config, vocab = open_model(source)

    class Killer(dict):
        def __getitem__(self, key):
            global count
            count -= 1
            if count < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return super().__getitem__(key)

    state = {key: state[key] + 1 for key in state}
    if how == "read":
        state = Killer(state)
    if how == "rename":
        rename = os.replace
        def replace(*paths):
            global count
            count -= 1
            if count < 0:
                os.kill(os.getpid(), signal.SIGKILL)
            rename(*paths)
        os.replace = replace
    if how == "disk":
        resource.setrlimit(resource.RLIMIT_FSIZE, (count, count))
    try:
        save_model(target, state, config, vocab)
    except CheckpointError as error:
        print(error)
"""


def child(*args):
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(CHILD), *map(str, args)], capture_output=True, text=True
    )


@pytest.mark.parametrize("count", (1, 70, 150, 200))
def test_killed_while_writing(directory, tiny_state, assert_same_bits, count):
    """The state is read three times: for its shapes, for its checksums, for its data."""
    new = directory.parent / "new"
    assert count < 3 * len(tiny_state)
    for target in (directory, new):
        assert child(directory, target, "read", count).returncode == -signal.SIGKILL
    assert_same_bits(dict(open_model(directory)[0]), tiny_state)
    assert "does not exist" in refused(new)
    for leftover in directory.parent.glob("*.tmp-*"):
        assert "config.json is missing" in refused(leftover)


def test_killed_between_the_renames(directory, tiny_state, tiny_config, tiny_vocab, assert_same_bits):
    assert child(directory, directory, "rename", 0).returncode == -signal.SIGKILL
    assert_same_bits(dict(open_model(directory)[0]), tiny_state)
    assert child(directory, directory, "rename", 1).returncode == -signal.SIGKILL
    [aside] = directory.parent.glob("tiny.replaced-*")
    assert f"a save that was interrupted left {aside}: rename it to tiny" in refused(directory)
    assert_same_bits(dict(open_model(aside)[0]), tiny_state)
    save_model(directory, tiny_state, tiny_config, tiny_vocab)
    open_model(directory)


@pytest.mark.parametrize("limit", (0, 5000, 100_000))
def test_a_full_disk_leaves_the_old_directory_or_none(directory, tiny_state, assert_same_bits, limit):
    new = directory.parent / "new"
    for target in (directory, new):
        done = child(directory, target, "disk", limit)
        assert done.stdout.startswith(f"cannot write {target}: File too large; raise the limit"), done.stderr
    assert os.listdir(directory.parent) == ["tiny"]
    assert_same_bits(dict(open_model(directory)[0]), tiny_state)


@pytest.fixture
def wide(tiny_config, random_bits, tmp_path):
    """A `.pdparams` whose configuration its shapes tell: one head of 64 columns."""
    for tower in (tiny_config.image_tower, tiny_config.text_tower):
        tower.width, tower.heads = 64, 1
    state = {
        key: random_bits(shape, seed=index)
        for index, (key, shape) in enumerate(release_layout.manifest(tiny_config).items())
    }
    write_pdparams(tmp_path / "wide.pdparams", state)
    return tmp_path / "wide.pdparams", state


def test_a_pdparams_with_its_vocabulary(wide, tiny_vocab, assert_same_bits):
    path, state = wide
    opened, config, vocab = open_model(path, tiny_vocab)
    assert (config.image_tower.width, config.text_tower.depth, vocab) == (64, 2, tiny_vocab)
    for note, name, activation in zip(opened.notes, ("image", "text"), ("quick_gelu", "gelu"), strict=True):
        assert f"width 64 of the {name} tower was never released: 1 head, {activation} and epsilon " in note
        assert note in open_model(path, tiny_vocab, raw=True)[0].notes
    assert open_model(path, tiny_vocab, config)[0].notes == []  # the caller says it
    assert_same_bits(dict(opened), state)
    shutil.copy(tiny_vocab, path.parent / "vocab.txt")
    assert open_model(path)[2] == path.parent / "vocab.txt"


def test_a_pdparams_without_a_vocabulary_says_where_it_is_found(wide, tmp_path):
    for options in ({}, {"vocab": tmp_path / "absent.txt"}):
        message = refused(wide[0], **options)
        assert "ernie_vil-2.0-base-zh" in message and "ernie-vil2-vocab-zh" in message


def test_other_layouts_and_missing_paths_are_one_sentence(tmp_path, tiny_vocab):
    path = tmp_path / "other.pdparams"
    write_pdparams(path, {"vision_model.class_embedding": np.zeros(3), "temperature": np.zeros(1)})
    assert "vision_model.conv1.weight is missing" in refused(path, vocab=tiny_vocab)
    write_pdparams(path, {"cls_token": np.zeros(3)})
    assert "no layout known here" in refused(path, vocab=tiny_vocab)
    assert f"give {path} itself" in refused(tmp_path)
    assert "does not exist" in refused(tmp_path / "absent")


def test_half_precision_is_widened_exactly(wide, tiny_vocab, tmp_path):
    path, state = tmp_path / "half.pdparams", wide[1]
    rng = np.random.default_rng(0)
    values = {key: rng.standard_normal(value.shape).astype(np.float32) for key, value in state.items()}
    stored = {}
    for index, (key, value) in enumerate(values.items()):
        kind = ("bfloat16", "float16", "float64")[index % 3]
        bits = (value.view(np.uint32) >> 16).astype(np.uint16)
        stored[key] = bits if kind == "bfloat16" else value.astype(kind)
        values[key] = (
            (bits.astype(np.uint32) << 16).view(np.float32) if kind == "bfloat16" else stored[key].astype(np.float32)
        )
    path.write_bytes(pickle.dumps(stored, 4))
    opened, config, _ = open_model(path, tiny_vocab)
    assert sum("read as float32" in note for note in opened.notes) == 3
    for source in (opened, load_again(tmp_path / "directory", path, tiny_vocab)):
        for key, value in values.items():
            assert source[key].dtype == np.float32 and np.array_equal(source[key], value)
            assert source.spec(key) == ("float32", value.shape)


def load_again(directory, path, vocab):
    raw, config, vocab = open_model(path, vocab, raw=True)
    save_model(directory, raw, config, vocab)
    return open_model(directory)[0]


def test_a_type_that_is_no_number_of_ours(directory):
    path = directory / "model.safetensors"
    save_file({"w": np.zeros(2, np.complex64)}, path)
    config = json.loads((directory / "config.json").read_text(encoding="utf-8"))
    config["files"]["model.safetensors"]["bytes"] = path.stat().st_size
    (directory / "config.json").write_text(json.dumps(config), encoding="utf-8")
    assert "w is of type C64" in refused(directory)

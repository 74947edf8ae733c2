"""tools/convert.py as a user runs it: bits kept both ways, what it says, and one sentence for what cannot be done."""

import json
import os

import numpy as np
import paddle
import pytest

import ernie_vil2
from ernie_vil2.checkpoints import release_layout
from ernie_vil2.checkpoints.formats.finite_weights import Finite
from ernie_vil2.checkpoints.formats.paddle_file import load_pdparams, write_pdparams
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.cli import convert
from ernie_vil2.config.tower_fields import EfficientNetConfig
from ernie_vil2.conversion.check import check_record, sentence
from ernie_vil2.conversion.fixed_inputs import Inputs, Result
from ernie_vil2.errors import UserError
from tests.checkpoints.formats.torch_zips import state_file

SPECIAL = np.array([0x80000000, 0x00000001, 0x80000123, 0x7F7FFFFF, 0xFF7FFFFF, 0x00800000], np.uint32).view(np.float32)


@pytest.fixture
def state(tiny_config, finite_bits):
    """Random bits in all float types, with -0.0, denormals and the largest numbers; extra keys."""
    for tower in (tiny_config.image_tower, tiny_config.text_tower):
        tower.width, tower.heads = 64, 1
    made = {}
    for index, (key, shape) in enumerate(release_layout.manifest(tiny_config).items()):
        made[key] = finite_bits(shape, ("float32", "uint16", "float16", "float64")[index % 4], index)
    made["visual.norm_post.bias"] = np.resize(SPECIAL, 64)
    return made | {
        "visual.classfy.weight": np.resize(SPECIAL, (64, 3)),
        "contrastive_loss_tt.temperature_b": SPECIAL[:1],
    }


@pytest.fixture
def plain_state(tiny_config):
    """A model of `tiny_config` that computes something."""
    rng = np.random.default_rng(0)
    return {
        key: 0.2 * rng.standard_normal(shape).astype(np.float32)
        for key, shape in release_layout.manifest(tiny_config).items()
    }


@pytest.mark.filterwarnings("ignore:.*encountered in cast")
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


def test_a_configuration_that_shapes_cannot_tell(tmp_path, tiny_config, tiny_vocab, plain_state):
    directory, weights = tmp_path / "model", tmp_path / "w.pdparams"
    save_model(directory, plain_state, tiny_config, tiny_vocab)
    convert.main([str(directory), str(weights)])
    back = tmp_path / "back"
    convert.main([str(weights), str(back), "--vocab", str(tiny_vocab), "--config", str(directory / "config.json")])
    assert open_model(back)[1] == tiny_config and tiny_config.image_tower.heads == 2


def test_the_check_is_said_and_stored(tmp_path, tiny_config, tiny_vocab, plain_state, capsys):
    save_model(tmp_path / "model", plain_state, tiny_config, tiny_vocab)
    convert.main([str(tmp_path / "model"), str(tmp_path / "copy"), "--to", "model-dir"])
    said = capsys.readouterr().out.splitlines()
    assert "image tower vit 2 x 32, patch 8, 32 px, pixel profile official" in said[0] and "vocabulary" in said[0]
    assert (
        said[-2].startswith("check: text embeddings differ by at most 0") and said[-1] == f"wrote {tmp_path / 'copy'}"
    )
    check = json.loads((tmp_path / "copy/config.json").read_text())["extra"]["check"]
    assert check["largest_difference"] == {"text": 0.0, "image": 0.0} and "sequences of 3, 5, 8, 16" in check["inputs"]
    assert ernie_vil2.load(tmp_path / "copy").encode_text("a").shape == (1, 32)
    convert.main([str(tmp_path / "model"), str(tmp_path / "copy"), "--no-check", "--replace"])
    assert "check" not in json.loads((tmp_path / "copy/config.json").read_text())["extra"]


def test_a_text_tower_and_an_image_tower_for_torch(
    tmp_path, tiny_config, tiny_vocab, plain_state, random_image, capsys
):
    """Two folders, each of which converts back to the tower it was."""
    save_model(tmp_path / "model", plain_state, tiny_config, tiny_vocab)
    convert.main([str(tmp_path / "model"), str(tmp_path / "torch"), "--to", "torch"])
    model = ernie_vil2.load(tmp_path / "model")
    convert.main([str(tmp_path / "torch/text"), str(tmp_path / "text")])
    capsys.readouterr()
    convert.main([str(tmp_path / "torch/image"), str(tmp_path / "image")])
    decoder = ernie_vil2.load(tmp_path / "image").config.pixels.decoder
    assert ("pixels.wide_range: clipped" in capsys.readouterr().out) == (decoder == "pil")
    wanted, texts = model.encode_text(["一只猫", "a dog"]), ["一只猫", "a dog"]
    np.testing.assert_allclose(ernie_vil2.load(tmp_path / "text").encode_text(texts), wanted, atol=1e-5)
    image = random_image(40, 60)
    back = ernie_vil2.load(tmp_path / "image")
    np.testing.assert_allclose(back.encode_image(image), model.encode_image(image), atol=1e-5)
    assert back.config.pixels == model.config.pixels and back.config.image_tower == model.config.image_tower


def test_options_say_what_a_source_cannot(tmp_path, tiny_config, tiny_vocab, plain_state):
    save_model(tmp_path / "model", plain_state, tiny_config, tiny_vocab)
    convert.main([str(tmp_path / "model"), str(tmp_path / "torch"), "--to", "torch"])
    weights = tmp_path / "tower.safetensors"
    os.rename(tmp_path / "torch/image/model.safetensors", weights)
    options = ("activation=gelu", "heads=4", "epsilon=1.0e-4", "pixels=bicubic")
    convert.main([str(weights), str(tmp_path / "image"), *(part for option in options for part in ("-o", option))])
    config = open_model(tmp_path / "image")[1]
    tower = config.image_tower
    assert (tower.activation, tower.heads, tower.epsilon, config.pixels.decoder) == ("gelu", 4, 1e-4, "pil")


WRONG = {
    "absent": ["absent", "x"],
    "no configuration": ["w.pdparams", "x", "--config", "absent.json"],
    "no vocabulary": ["w.pdparams", "x"],
    "onto itself": ["w.pdparams", "w.pdparams"],
    "one tower as the release's file": ["tower.bin", "x.pdparams"],
    "an option without a value": ["w.pdparams", "x", "-o", "heads"],
    "an option that means nothing": ["w.pdparams", "x", "-o", "heads=3"],
    "not weights": ["text.pt", "x"],
    "no layout": ["other.bin", "x"],
    "a file in the way": ["w.pdparams", "in_the_way", "--vocab", "vocab.txt"],
    "a folder in the way": ["w.pdparams", "folder", "--vocab", "vocab.txt"],
    "a folder in the way of PaddleNLP's": ["w.pdparams", "folder", "--vocab", "vocab.txt", "--to", "paddlenlp"],
    "a folder in the way of torch's": ["w.pdparams", "folder", "--vocab", "vocab.txt", "--to", "torch"],
    "a model in the way": ["w.pdparams", "model", "--vocab", "vocab.txt"],
    "a model in the way of torch's": ["w.pdparams", "model", "--vocab", "vocab.txt", "--to", "torch"],
    "weights in the way": ["w.pdparams", "tower.bin", "--vocab", "vocab.txt", "--to", "official"],
    "a folder named as a file": ["w.pdparams", "x.pdparams", "--vocab", "vocab.txt", "--to", "paddlenlp"],
    "a model directory named as a file": ["w.pdparams", "x.pdparams", "--vocab", "vocab.txt", "--to", "model-dir"],
    "onto the source's folder": ["model/model.safetensors", "model", "--replace"],
    "a file in the way of a folder": ["w.pdparams", "in_the_way", "--vocab", "vocab.txt", "--replace"],
    "a folder in the way that is no model": ["w.pdparams", "folder", "--vocab", "vocab.txt", "--replace"],
    "a vocabulary that is too big": ["w.pdparams", "x", "--vocab", "big.txt"],
}


@pytest.mark.parametrize("name", WRONG)
def test_what_cannot_be_converted_leaves_nothing(tmp_path, monkeypatch, state, tiny_vocab, name):
    monkeypatch.chdir(tmp_path)
    write_pdparams("w.pdparams", state)
    visual = {key: np.zeros(value.shape, np.float32) for key, value in state.items() if key.startswith("visual.")}
    (tmp_path / "tower.bin").write_bytes(state_file({f"module.{key}": value for key, value in visual.items()}))
    (tmp_path / "other.bin").write_bytes(state_file({"cls.weight": SPECIAL}))
    (tmp_path / "text.pt").write_text("hello")
    (tmp_path / "in_the_way").write_text("mine")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "mine.txt").write_text("mine")
    (tmp_path / "big.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n" + "".join(f"w{index}\n" for index in range(90)))
    os.rename(tiny_vocab, "vocab.txt") if "--vocab" in WRONG[name] and "vocab.txt" in WRONG[name] else None
    before = sorted(os.listdir()), (tmp_path / "w.pdparams").read_bytes(), sorted(os.listdir("folder"))
    with pytest.raises(UserError) as caught:
        convert.main(WRONG[name])
    assert len(str(caught.value).splitlines()) == 1
    assert (sorted(os.listdir()), (tmp_path / "w.pdparams").read_bytes(), sorted(os.listdir("folder"))) == before


def test_a_checkpoint_of_the_wrong_size_names_every_tensor(tmp_path, tiny_vocab, state):
    """One error for a tower whose blocks differ, with each tensor in it."""
    state["visual.blocks.1.mlp.fc1.bias"] = np.zeros(7, np.float32)
    state["text_model.ln.weight"] = np.zeros(65, np.float32)
    write_pdparams(tmp_path / "w.pdparams", state)
    with pytest.raises(UserError) as caught:
        convert.main([str(tmp_path / "w.pdparams"), str(tmp_path / "x"), "--vocab", str(tiny_vocab)])
    assert "visual.blocks.1.mlp.fc1.bias" in str(caught.value) and "text_model.ln.weight" in str(caught.value)


@pytest.mark.parametrize("to", ("model-dir", "official", "paddlenlp", "torch"))
@pytest.mark.parametrize("value", (np.nan, -np.inf))
@pytest.mark.parametrize("check", ([], ["--no-check"]))
def test_weights_that_are_not_finite_are_named_and_nothing_is_written(
    tmp_path, tiny_config, tiny_vocab, plain_state, to, value, check
):
    plain_state["visual.blocks.1.mlp.fc2.weight"][3, 4] = value
    save_model(tmp_path / "model", plain_state, tiny_config, tiny_vocab)
    before = sorted(os.listdir(tmp_path))
    with pytest.raises(UserError, match=r"1 of the 4,096 values of visual.blocks.1.mlp.fc2.weight are NaN") as caught:
        convert.main([str(tmp_path / "model"), str(tmp_path / "x"), "--to", to, *check])
    assert "\n" not in str(caught.value) and sorted(os.listdir(tmp_path)) == before


class Plain(dict):
    notes = ()


@pytest.mark.parametrize("kind", ("float32", "uint16", "float16", "float64"))
def test_not_finite_in_every_type(kind):
    good = {"uint16": np.uint16(0xFF7F)}.get(kind, np.float32(-3))
    bad = {"uint16": np.uint16(0x7F80), "float64": np.float64(1e300)}.get(kind, np.float32(np.inf))
    state = Finite(Plain({"good": np.full(3, good, kind), "bad": np.array([good, bad]).astype(kind)}), "w")
    assert state["good"].dtype == kind
    with pytest.raises(UserError, match="1 of the 2 values of bad"):
        state["bad"]


def test_an_existing_target_is_replaced_when_asked_for(tmp_path, tiny_config, tiny_vocab, plain_state):
    save_model(tmp_path / "model", plain_state, tiny_config, tiny_vocab)
    source = str(tmp_path / "model")
    for target, to in (("w.pdparams", "official"), ("y", "torch"), ("x", "paddlenlp"), ("x", "model-dir")):
        for _ in range(2):
            convert.main([source, str(tmp_path / target), "--to", to, "--replace", "--no-check"])
        with pytest.raises(UserError, match="give --replace"):
            convert.main([source, str(tmp_path / target), "--to", to])
    assert open_model(tmp_path / "x")[1] == tiny_config


def test_embeddings_that_overflow_are_said_not_to_be_compared():
    inputs = Inputs(np.ones((1, 3), np.int64), np.zeros((1, 3, 8, 8), np.float32))
    embeds = {"text": np.ones((1, 4)), "image": np.full((1, 4), np.inf)}
    record = check_record(Result(embeds, "NumPy", {}), embeds, inputs)
    assert sentence(record) == (
        "check: text embeddings differ by at most 0 (cosine 1.000000000) and image embeddings are not compared (the "
        "source's embeddings are not finite), the source being run by NumPy"
    )


def test_towers_of_another_kind_come_back_from_the_releases_file_with_their_configuration(
    tmp_path, tiny_config, tiny_vocab, assert_same_bits
):
    tiny_config.image_tower = EfficientNetConfig(image_size=32, projection=32)
    rng = np.random.default_rng(0)
    state = {key: rng.random(shape, np.float32) for key, shape in release_layout.manifest(tiny_config).items()}
    save_model(tmp_path / "model", state, tiny_config, tiny_vocab)
    weights, config = str(tmp_path / "w.pdparams"), str(tmp_path / "model/config.json")
    convert.main([str(tmp_path / "model"), weights, "--no-check"])
    convert.main([weights, str(tmp_path / "again"), "--vocab", str(tiny_vocab), "--config", config])
    again = open_model(tmp_path / "again", raw=True)
    assert again[1] == tiny_config
    assert_same_bits(dict(again[0]), state)
    assert_same_bits(dict(open_model(weights, tiny_vocab, tiny_config)[0]), state)
    with pytest.raises(UserError, match="give the config.json of its model directory with --config"):
        convert.main([weights, str(tmp_path / "x"), "--vocab", str(tiny_vocab)])

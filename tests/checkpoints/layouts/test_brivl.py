"""BriVL's released file through tools/convert.py: every bit both ways, options, and one sentence for what is wrong."""

import hashlib
import json
import math
import os
import re

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.formats.torch_file import open_torch
from ernie_vil2.checkpoints.layouts.brivl.layout import LAYOUTS
from ernie_vil2.checkpoints.layouts.brivl.names import PARTS, rows
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.cli import convert
from ernie_vil2.config.model import PIXEL_PROFILES, ModelConfig
from ernie_vil2.config.tower_fields import EfficientNetConfig, TextTowerConfig
from ernie_vil2.errors import UserError
from ernie_vil2.schema import as_dict
from ernie_vil2.systems.brivl import BriVL
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts import brivl_weights as small
from tests.conftest import VOCABULARY

RELEASED = "f39952d963679372947ec4c8da53935a1aa7b27257c1fabe32ce0fc48edaead1"
"""SHA-256 of `key shape` a line of the released file, 2,320 lines"""


@pytest.fixture(scope="module")
def state():
    return small.released()


@pytest.fixture
def run(tmp_path, tiny_vocab, monkeypatch, capsys):
    """Function (state or path, target, *arguments) -> lines of tools/convert.py, with the options of the small size."""
    monkeypatch.chdir(tmp_path)

    def convert_it(source, target, *arguments, check=False, **options):
        if not isinstance(source, str):
            (tmp_path / "source.pth").write_bytes(state_file(source, lambda plan: {"learnable": plan}))
            source = "source.pth"
        if source.endswith(".pth"):
            pairs = (small.OPTIONS | options).items()
            arguments += (
                "--vocab",
                str(tiny_vocab),
                *(part for pair in pairs for part in ("-o", "{}={}".format(*pair))),
            )
        arguments += () if check else ("--no-check",)
        capsys.readouterr()
        convert.main([source, target, *arguments])
        return capsys.readouterr().out

    return convert_it


def same_file(path, wanted, assert_same_bits):
    found = open_torch(path)
    assert list(found) == list(wanted)
    assert_same_bits(dict(found), wanted)


def test_there_and_back_is_bit_exact_with_the_twins(run, state, assert_same_bits):
    said = run(state, "model", check=True)
    assert "BriVL layout, 784 tensors; image tower efficientnet b0, 64 px, pixel profile brivl" in said
    assert f"check: {len(state)} tensors come back from what was written, every bit of them equal" in said
    assert json.loads(open("model/config.json").read())["extra"]["check"]["how"] in said
    held = open_model("model", raw=True)[0]
    names = {key.split(".")[0] for key in held}
    assert names == {"visual", "text_model", "image_head", "text_head", "contrastive_loss_mm", "momentum", "unused"}
    said = run("model", "back.pth", "--to", "brivl", check=True)
    assert (
        "784 tensors come back" in said
        and "twins" not in said
        and "to come back give -o image_size=64 -o max_length=12" in said
    )
    same_file("back.pth", state, assert_same_bits)
    run("back.pth", "again", check=True)
    for name in ("model.safetensors", "vocab.txt", "config.json"):
        assert open(f"again/{name}", "rb").read() == open(f"model/{name}", "rb").read()
    run("source.pth", "straight.pth", "--to", "brivl")
    same_file("straight.pth", state, assert_same_bits)


def test_twins_that_are_dropped_or_were_never_there_are_written_equal_to_the_encoders(run, state, assert_same_bits):
    wanted = {key: state[small.plain_of(key)] for key in state}
    alone = {key: value for key, value in state.items() if "_mom." not in key}
    run(state, "dropped", twins="false")
    run(alone, "alone")
    for name in ("dropped", "alone"):
        assert not any(key.startswith("momentum.") or "_mom." in key for key in open_model(name)[0])
        assert "it holds no momentum twins, so they are written equal" in run(name, f"{name}.pth", "--to", "brivl")
        same_file(f"{name}.pth", wanted, assert_same_bits)


def test_every_tensor_has_the_place_that_the_network_reads(run, state):
    """By values: transposed where torch has [out, in], rows of token types kept apart from the positions."""
    run(state, "model")
    held = dict(open_model("model")[0])
    image, text = "imgencoder.learnable.", "textencoder.backbone.bert."
    for ours, wanted in (
        ("image_head.cell_proj.weight", state[f"{image}max_pool.0.weight"][:, :, 0, 0].T),
        ("image_head.layers.1.qkv.weight", state[f"{image}imgAtt.layers.1.self_attn.in_proj_weight"].T),
        ("image_head.layers.0.fc1.bias", state[f"{image}imgAtt.layers.0.linear1.bias"]),
        ("image_head.fc2.weight", state[f"{image}imgFC.fc2.weight"].T),
        ("momentum.image_head.fc2.weight", state["imgencoder_mom.learnable.imgFC.fc2.weight"].T),
        ("text_head.fc1.weight", state["textencoder.learnable.textFC.fc1.weight"].T),
        ("text_model.type_emb.weight", state[f"{text}embeddings.token_type_embeddings.weight"]),
        ("text_model.encoder_stack.block.1.ffn.i.weight", state[f"{text}encoder.layer.1.intermediate.dense.weight"].T),
        ("visual.head_norm._mean", state["imgencoder.backbone.bn2.running_mean"]),
        ("contrastive_loss_mm.temperature_b", np.array([-math.log(0.07)], np.float32)),
    ):
        assert np.array_equal(held[ours], wanted), ours
    assert "image_head.layers.1.norm2.bias" in ernie_vil2.load("model").network.state_dict()


def test_the_configuration_is_the_releases(run, state):
    run(state, "model", heads=2, activation="relu", epsilon="1.0e-5")
    config = open_model("model")[1]
    image, text = config.image_tower, config.text_tower
    sizes = {"embed_dim": 16, "layers": 2, "feed_forward": 40, "hidden": 24}
    assert (config.system, config.settings) == ("brivl", as_dict(BriVL.Settings(**sizes)))
    assert (config.max_length, config.fixed_length, config.tokenizer, config.lower_case) == (12, True, "bert", True)
    assert (image.variant, image.width_factor, image.depth_factor, image.padding) == ("b0", 0.1, 0.6, "same")
    assert (image.norm_momentum, image.norm_variance, image.epsilon) == (0.9, "unbiased", 1e-3)
    assert (text.heads, text.activation, text.epsilon, text.token_types, text.depth) == (2, "relu", 1e-5, 2, 2)
    assert (config.pixels.interpolation, config.pixels.size) == ("tensor", 64)
    assert "heads 4" in run(state, "other") and open_model("other")[1].text_tower.epsilon == 1e-12


@pytest.mark.parametrize("parts", (PARTS, PARTS[:1], ("",)))
def test_the_prefix_of_data_parallel_is_taken_off_and_said(run, state, assert_same_bits, parts):
    renamed = {}
    for key, value in state.items():
        part, _, rest = key.partition(".")
        renamed[f"module.{key}" if parts == ("",) else f"{part}.module.{rest}" if part in parts else key] = value
    said = run(renamed, "model")
    assert ("go on with `module.`, which is taken off" in said) == (parts != ("",))
    assert ("every key begins with `module.`" in said) == (parts == ("",))
    run("model", "back.pth", "--to", "brivl")
    same_file("back.pth", state, assert_same_bits)


def test_what_nothing_reads_may_be_missing_and_is_made_up(run, state, assert_same_bits):
    unread = ("position_ids", "num_batches_tracked", "classifier.weight", "classifier.bias")
    run({key: value for key, value in state.items() if not key.endswith(unread)}, "model")
    assert "made up: " in run("model", "back.pth", "--to", "brivl")
    wanted = {key: np.zeros_like(value) if key.endswith(unread[1:]) else value for key, value in state.items()}
    same_file("back.pth", wanted, assert_same_bits)


def test_types_are_kept(run, state, assert_same_bits):
    """A file that was saved in half precision comes back in it."""
    half = {key: value.astype(np.float16) if value.dtype == np.float32 else value for key, value in state.items()}
    run(half, "model")
    run("model", "back.pth", "--to", "brivl")
    same_file("back.pth", half, assert_same_bits)
    assert all(value.dtype in (np.float32, np.int64) for value in dict(open_model("model")[0]).values())


def test_a_model_without_token_types_gets_rows_of_zeros_and_twins_of_a_run(run, state, tmp_path, tiny_vocab):
    """As a checkpoint that was trained from BERT has them: the momentum copy lies beside the model."""
    run(state, "model")
    held, config, _ = open_model("model")
    keys = [key for key in held if not key.startswith(("momentum.", "unused.")) and "type_emb" not in key]
    config.text_tower.token_types = 0
    model = {key: held[key] for key in keys} | {"contrastive_loss_mm.temperature_b": np.array([1.0], np.float32)}
    save_model("trained", model, config, tiny_vocab)
    from ernie_vil2.training.run_checkpoints import write_arrays

    write_arrays(tmp_path / "trained/momentum.safetensors", {key: value + 1 for key, value in model.items()})
    said = run("trained", "back.pth", "--to", "brivl")
    assert "the momentum twins are those of trained/momentum.safetensors" in said
    assert "it means 0.07, this model has 0.367879" in said and "1 of `position_ids`" not in said
    found, types = open_torch("back.pth"), "backbone.bert.embeddings.token_type_embeddings.weight"
    assert list(found) == list(state)
    assert not found[f"textencoder.{types}"].any() and found[f"textencoder.{types}"].shape == (2, small.BERT)
    bias = "backbone.bert.pooler.dense.bias"
    assert np.array_equal(found[f"textencoder_mom.{bias}"], found[f"textencoder.{bias}"] + 1)
    write_arrays(tmp_path / "trained/momentum.safetensors", {"visual.x.lora_a": np.zeros(1, np.float32)})
    assert "low-rank updates" in run("trained", "plain.pth", "--to", "brivl")


def without(*ends):
    return lambda state: {key: value for key, value in state.items() if not key.endswith(ends)}


def other(end):
    return lambda state: {key: np.zeros(3, np.float32) if key.endswith(end) else value for key, value in state.items()}


def same(state):
    return state


def holding(key, value):
    return lambda state: state | {key: value}


def without_part(part):
    return lambda state: {key: value for key, value in state.items() if not key.startswith(f"{part}.")}


IMAGE, TEXT = "imgencoder.learnable.", "textencoder.learnable."
BIAS, WORDS = f"{IMAGE}imgFC.fc2.bias", "textencoder.backbone.bert.embeddings.word_embeddings.weight"
NONE = np.full(16, np.nan, np.float32)
WRONG = {
    "a tensor is missing": (without(BIAS), {}, r"1 missing.*imgFC\.fc2\.bias"),
    "a block is missing": (without("imgencoder.backbone.blocks.3.1.conv_dw.weight"), {}, r"1 missing.*3\.1\.conv_dw"),
    "a head is missing": (without("encoder.backbone.conv_head.weight"), {}, r"conv_head\.weight is missing"),
    "words are missing": (without(WORDS), {}, r"word_embeddings\.weight is missing"),
    "another shape": (
        other(f"{TEXT}textAtt.layers.1.linear1.bias"),
        {},
        r"1 mis-shaped.*linear1\.bias \(wanted \[40\]",
    ),
    "another stem": (other("imgencoder.backbone.bn1.weight"), {}, r"1 mis-shaped.*backbone\.bn1\.weight"),
    "whole numbers": (holding(BIAS, np.zeros(16, np.int64)), {}, "1 not floating point"),
    "no numbers": (holding(BIAS, NONE), {}, "16 of the 16 values of .*fc2.bias are NaN"),
    "a twin lacks a tensor": (
        without("textencoder_mom.learnable.textFC.fc1.weight"),
        {},
        r"its twins, which -o twins=false.*textFC\.fc1\.weight",
    ),
    "one twin alone": (
        without_part("textencoder_mom"),
        {},
        "holds the momentum twin imgencoder_mom and not the other one; .*-o twins=false",
    ),
    "an encoder alone": (without_part("textencoder"), {}, "textencoder.* is missing"),
    "no yes and no no": (same, {"twins": "3"}, "the option twins is 3, but must be true or false"),
    "heads that do not divide": (same, {"heads": "5"}, "not a multiple of text_tower.heads 5"),
    "an epsilon beyond Paddle's": (same, {"epsilon": "0.05"}, "Paddle's takes at most 0.001"),
    "more tokens than positions": (same, {"max_length": "21"}, "is over text_tower.positions 20"),
    "another layout's option": (same, {"pixels": "brivl"}, "takes no option pixels: it takes heads"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_does_not_fit_is_one_sentence_and_nothing_is_written(run, state, tmp_path, name):
    change, options, words = WRONG[name]
    with pytest.raises(UserError) as caught:
        run(change(state), "model", **options)
    sentence, *listed = str(caught.value).splitlines()
    assert re.search(words, " ".join([sentence, *listed]))
    assert all(line.startswith("  ") for line in listed) and len(listed) <= 2 and not (tmp_path / "model").exists()


@pytest.mark.parametrize("tokens", ([word for word in VOCABULARY if word != "cat"], [*VOCABULARY, "more"]))
def test_a_vocabulary_of_another_size_is_one_sentence(run, state, tiny_vocab, tokens):
    tiny_vocab.write_text("".join(f"{token}\n" for token in tokens), encoding="utf-8")
    with pytest.raises(UserError, match=f"has {len(tokens)} tokens but source.pth embeds (only )?{small.ROWS}; give"):
        run(state, "model")


def test_what_has_no_form_there_is_one_sentence(run, state, tmp_path, tiny_config, tiny_vocab, tiny_state):
    save_model(
        "plain", {key: np.zeros(value.shape, np.float32) for key, value in tiny_state.items()}, tiny_config, tiny_vocab
    )
    with pytest.raises(UserError, match="is of the system ernie_vil2, whose layers the layout brivl has no place for"):
        run("plain", "x.pth", "--to", "brivl")
    run(state, "model")
    for target, to in (("x.pdparams", "official"), ("x", "torch"), ("x", "paddlenlp")):
        with pytest.raises(UserError, match=f"the system brivl, whose layers the layout {to} has no place for"):
            run("model", target, "--to", to)
    with pytest.raises(UserError, match="writes a torch file, but x.pdparams is the name of a file of Paddle"):
        run("model", "x.pdparams", "--to", "brivl")
    (tmp_path / "mine.pth").write_text("mine")
    with pytest.raises(UserError, match="give --replace"):
        run("model", "mine.pth", "--to", "brivl")


def test_keys_and_shapes_of_the_released_size_in_their_order():
    """The digest was taken of the public release's own classes; the file with its twins has 2,320 tensors."""
    config = ModelConfig(
        system="brivl",
        settings={"embed_dim": 2048, "layers": 4, "feed_forward": 2048, "hidden": 2048},
        image_tower=EfficientNetConfig(variant="b5", image_size=380, padding="same", projection=0),
        text_tower=TextTowerConfig(vocab_size=21128, positions=512, token_types=2, epsilon=1e-12),
        max_length=80,
        pixels=PIXEL_PROFILES["brivl"],
    )
    lines = [f"{part}.{row.theirs} {list(row.shape)}" for part in PARTS for row in rows(part, config)]
    assert len(lines) == 2320
    assert hashlib.sha256("\n".join(lines).encode()).hexdigest() == RELEASED


def test_the_stand_in_of_the_release_comes_back(shared_parity, run, tiny_vocab, assert_same_bits):
    """The fixture's own manifest, whose keys and order are those of the released file."""
    manifest = json.loads((shared_parity.parent / "brivl/tiny/manifest.json").read_text())["tensors"]
    rng = np.random.default_rng(0)
    whole = ("num_batches_tracked", "position_ids")
    state = {
        key: np.full(shape, 3) if key.endswith(whole) else rng.random(shape, np.float32)
        for key, (shape, *_) in manifest.items()
    }
    tiny_vocab.write_bytes((shared_parity.parent / "brivl/vocab.txt").read_bytes())
    run(state, "model", image_size=100, max_length=24)
    run("model", "back.pth", "--to", "brivl")
    same_file("back.pth", state, assert_same_bits)


def test_the_check_sees_a_wrong_bit(run, state, monkeypatch):
    """With a way back that changes one value, nothing is written."""
    right = LAYOUTS[0].write
    import ernie_vil2.conversion.brivl_file as module

    def wrong(held, config):
        theirs = dict(right(held, config))
        theirs["textencoder.learnable.textFC.fc2.bias"][3] += 1e-6
        return theirs

    monkeypatch.setattr(module, "write", wrong)
    with pytest.raises(UserError, match="textFC.fc2.bias does not come back from what was written as it was"):
        run(state, "model", check=True)
    assert not os.path.exists("model")

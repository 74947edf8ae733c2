"""What BriVL's released file cannot hold: a model comes back by the options that the note gives, or is not written."""

import contextlib
import io
import re

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import open_model, save_model
from ernie_vil2.checkpoints.release_layout import MOMENTUM, UNUSED
from ernie_vil2.cli import convert
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.errors import CheckpointError
from tests.checkpoints.formats.torch_zips import state_file
from tests.checkpoints.layouts import brivl_weights as small
from tests.conftest import VOCABULARY

NAMED = {
    "text_tower.heads": 2,
    "text_tower.activation": "relu",
    "text_tower.epsilon": 1e-5,
    "max_length": 9,
}
NO_PLACE = {
    "settings.regions": "grid",
    "settings.most_boxes": 1,
    "settings.cells": 3,
    "settings.image_heads": 2,
    "settings.text_heads": 2,
    "image_tower.padding": "dynamic",
    "image_tower.epsilon": 1e-5,
    "pixels.mean": (0.5, 0.5, 0.5),
    "pixels.interpolation": "bicubic",
    "pixels.resize_to": 80,
    "pixels.wide_range": "scaled",
    "lower_case": False,
    "tokenizer": "paddlenlp",
}
HARMLESS = {
    "settings.grid": 3,
    "settings.dropout": 0.5,
    "text_tower.dropout": 0.5,
    "image_tower.batch_norm": "train",
    "image_tower.norm_momentum": 0.5,
    "text_tower.mlp_ratio": 2.001,
    "image_tower.width_factor": 0.101,
    "pixels.resize_to": 32,
}
TEXTS, BOXES = ["红色的圆 a cat", "The Dog"], [[[3, 4, 40, 30], [10, 9, 33, 50]], None]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with vocab.txt and the model directory `model` of a small released file without its twins."""
    folder = tmp_path_factory.mktemp("brivl")
    (folder / "vocab.txt").write_text("".join(f"{word}\n" for word in VOCABULARY), encoding="utf-8")
    (folder / "source.pth").write_bytes(state_file(small.released(twins=False), lambda plan: {"learnable": plan}))
    converted(folder, "source.pth", "model", *(f"{name}={value}" for name, value in small.OPTIONS.items()))
    return folder


def converted(folder, source, target, *options, to="model-dir", replace="--replace"):
    """What tools/convert.py prints."""
    vocab = ["--vocab", str(folder / "vocab.txt")] if source.endswith(".pth") else []
    named = [part for option in options for part in ("-o", option)]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        convert.main([str(folder / source), str(folder / target), "--to", to, "--no-check", replace, *vocab, *named])
    return printed.getvalue()


def changed(folder, values):
    """Write the model directory `other`: `model` with other values of {"a.b": value} in its configuration."""
    state, config, vocab = open_model(folder / "model")
    content = config.to_dict()
    for key, value in values.items():
        *parents, last = key.split(".")
        place = content
        for name in parents:
            place = place[name]
        place[last] = value
    save_model(folder / "other", state, ModelConfig.from_dict(content), vocab)


def there_and_back(folder):
    """What is printed when `other` goes there, and comes back as `back` by the options that the note gives."""
    said = converted(folder, "other", "back.pth", to="brivl")
    converted(folder, "back.pth", "back", *re.findall(r"-o (\S+)", said))
    return said


def embeddings(path, random_image):
    model = ernie_vil2.load(path)
    images = [random_image(64, 90, seed) for seed in range(2)]
    return model.encode_image(images, boxes=BOXES), model.encode_text(TEXTS)


@pytest.mark.parametrize("keys", [*([key] for key in NAMED), list(NAMED)])
def test_what_can_be_named_comes_back_by_the_note(folder, random_image, keys):
    changed(folder, {key: NAMED[key] for key in keys})
    said = there_and_back(folder)
    assert all(f"-o {key.split('.')[-1]}=" in said for key in keys)
    for wanted, found in zip(*(embeddings(folder / name, random_image) for name in ("other", "back")), strict=True):
        assert np.array_equal(wanted, found)


def test_a_size_of_images_comes_back_by_the_note(folder, random_image):
    changed(folder, {"image_tower.image_size": 96, "pixels.size": 96})
    assert "-o image_size=96" in there_and_back(folder)
    wanted, found = (embeddings(folder / name, random_image)[0] for name in ("other", "back"))
    assert np.array_equal(wanted, found) and not np.array_equal(wanted, embeddings(folder / "model", random_image)[0])


@pytest.mark.parametrize("key", NO_PLACE)
def test_what_has_no_place_is_named_and_nothing_is_written(folder, key):
    more = {"pixels.resize": "short_side"} if key == "pixels.interpolation" else {}
    changed(folder, {key: NO_PLACE[key], **more})
    (folder / "back.pth").unlink(missing_ok=True)
    with pytest.raises(CheckpointError) as caught:
        converted(folder, "other", "back.pth", to="brivl")
    said = str(caught.value)
    assert f"has no place for {key} (" in said and said.endswith("keep the model directory") and "\n" not in said
    assert said.count(" when it is read)") == 1 + len(more) and not (folder / "back.pth").exists()


@pytest.mark.parametrize("key", HARMLESS)
def test_what_changes_no_inference_is_written(folder, random_image, key):
    changed(folder, {key: HARMLESS[key]})
    said = there_and_back(folder)
    acts = key.split(".")[-1] in ("dropout", "batch_norm", "norm_momentum")
    assert (f"no place for {key}, which act in training only" in said) == acts
    for wanted, found in zip(*(embeddings(folder / name, random_image) for name in ("other", "back")), strict=True):
        assert np.array_equal(wanted, found)


def test_token_types_that_a_model_lacks_are_named_and_come_back_as_nothing(folder, random_image):
    state, config, vocab = open_model(folder / "model")
    config.text_tower.token_types = 0
    kept = {key: state[key] for key in state if "type_emb" not in key and not key.startswith((UNUSED, MOMENTUM))}
    save_model(folder / "other", kept, config, vocab)
    said = there_and_back(folder)
    made = said.split("are made up: ")[1].splitlines()[0]
    assert "2 of `token_type_embeddings`" in made and "4 of `classifier`" in made and "`weight`" not in made
    wanted, found = (embeddings(folder / name, random_image)[1] for name in ("other", "back"))
    assert np.array_equal(wanted, found)

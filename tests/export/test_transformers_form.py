"""The folder for transformers without torch: which models have no such form, and that no number is lost on the way."""

import json
import os
import sys
from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import tokenizers

from ernie_vil2.checkpoints.layouts import clip, hugging_face
from ernie_vil2.checkpoints.layouts.layout_record import Found
from ernie_vil2.config.model import PIXEL_PROFILES, PixelProfile
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.device import float32_copy
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.export.export import export
from ernie_vil2.export.transformers_form import runtime
from ernie_vil2.export.transformers_form.pixels import Difference, processor_note, processor_settings
from ernie_vil2.export.transformers_form.tokenizer import HARD_TEXTS, tokenizer_files, tokenizer_note
from ernie_vil2.export.transformers_form.weights import VISION, model_settings, model_state, refuse_other_forms
from tests.inference.engines.towers import CONFIGS, network, towers

NO_FORM = {
    "efficientnet": "image tower of kind efficientnet",
    "brivl boxes": "system brivl",
    "cookie": "system cookie",
    "other": "pre_norm",
}
FORMS = {
    "plain": CONFIGS["plain"],
    "projected": CONFIGS["projected"],
    "patch bias and types": towers(image={"patch_bias": True, "depth": 2}, text={"token_types": 3, "projection": 16}),
}


def state_of(config):
    return {key: float32_copy(value) for key, value in network(config).state_dict().items()}


@pytest.mark.parametrize("name", NO_FORM)
def test_a_model_without_such_a_form_says_which_part(directory, tmp_path, name):
    path, before = directory(name), sorted(os.listdir(tmp_path))
    with pytest.raises(ConfigError, match=NO_FORM[name]) as told:
        export(path, tmp_path / "out", "transformers")
    assert "\n" not in str(told.value) and "export it to paddle, onnx or openvino" in str(told.value)
    assert sorted(os.listdir(tmp_path)) == before


def test_missing_libraries_are_one_sentence(directory, tmp_path, monkeypatch):
    path, before = directory("plain"), sorted(os.listdir(tmp_path))
    monkeypatch.setattr(runtime, "installed_version", lambda name: None if name == "torch" else "1")
    with pytest.raises(ConfigError, match="torch is not installed; install with: pip install torch$"):
        export(path, tmp_path / "out", "transformers")
    assert sorted(os.listdir(tmp_path)) == before


def test_a_library_that_does_not_load_says_why(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(runtime, "installed_version", lambda name: "9.9")
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ConfigError, match="transformers 9.9 does not load here .*; install one that does"):
        export(directory("plain"), tmp_path / "out", "transformers")


@pytest.mark.parametrize("name", FORMS)
def test_no_number_is_lost(name, assert_same_bits, tmp_path):
    """What was written is read back by the readers of transformers' layouts to the state that it was written from."""
    config = FORMS[name]
    state = state_of(config)
    refuse_other_forms(config)
    written = dict(model_state(state, config))
    assert {key: value.shape for key, value in written.items()} == {
        key: model_state(state, config).spec(key).shape for key in written
    }
    said = model_settings(config, 1.5)
    image = {key.removeprefix(VISION): value for key, value in written.items() if key.startswith("vis")}
    text = {key.removeprefix("text_model."): value for key, value in written.items() if key.startswith("text_model.")}
    found = dict(clip.read_transformers(Found(image, tmp_path, said["vision_config"])).state)
    found |= hugging_face.read(Found(text, tmp_path, said["text_config"])).state
    wanted = dict(state)
    assert written["logit_scale"].shape == ()
    assert float(written["logit_scale"]) == float(wanted.pop("contrastive_loss_mm.temperature_b")[0])
    if not config.image_tower.projection:
        np.testing.assert_array_equal(found.pop("visual.proj.weight"), np.eye(16, dtype=np.float32))
    if not config.text_tower.projection:
        np.testing.assert_array_equal(written["text_projection.weight"], np.eye(16, dtype=np.float32))
    else:
        np.testing.assert_array_equal(written["text_projection.weight"].T, wanted.pop("text_model.proj.weight"))
    if config.image_tower.patch_bias:  # it is in the positions of the patches
        wanted["visual.positional_embedding"][:, 1:] += wanted.pop("visual.patch_embed.proj.bias")
    if config.text_tower.token_types:  # the reader adds the row that is used to the positions
        types = written["text_model.embeddings.token_type_embeddings.weight"]
        np.testing.assert_array_equal(types, wanted["text_model.type_emb.weight"])
        wanted["text_model.pos_emb.weight"] += wanted.pop("text_model.type_emb.weight")[0]
    assert_same_bits(found, wanted)


def test_settings_are_those_of_the_towers():
    config = towers(
        image={"activation": "gelu", "epsilon": 1e-3, "mlp_ratio": 2.5}, text={"activation": "relu", "token_types": 3}
    )
    said = model_settings(config, 2.5)
    vision, text = said["vision_config"], said["text_config"]
    assert (vision["hidden_act"], vision["layer_norm_eps"], vision["intermediate_size"]) == ("gelu", 1e-3, 40)
    assert (text["hidden_act"], text["layer_norm_eps"], text["type_vocab_size"]) == ("relu", 1e-5, 3)
    assert (said["logit_scale_init_value"], said["projection_dim"], text["use_task_id"]) == (2.5, 16, False)


@pytest.mark.parametrize("lower", (True, False))
def test_the_written_tokenizer_gives_our_ids(tiny_vocab, lower):
    ours = Tokenizer(tiny_vocab, 16, lower)
    theirs = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_files(ours)["tokenizer.json"]))

    def called(text, truncation):
        return {"input_ids": theirs.encode(text).ids}

    assert "own ids" in tokenizer_note(called, ours, ["红色的猫"]) and len(HARD_TEXTS) > 10
    other = Tokenizer(tiny_vocab, 16, not lower)
    assert "other ids" in tokenizer_note(called, other, ["The CAT"])


def test_ids_that_a_vocabulary_skips_are_filled_and_nothing_else_changes(tiny_vocab, tmp_path):
    lines = [line.partition("\t")[0] for line in tiny_vocab.read_text(encoding="utf-8").splitlines()]
    places = [number + 2 * (number > 7) for number in range(len(lines))]
    (tmp_path / "gaps.txt").write_text(
        "".join(f"{token}\t{place}\n" for token, place in zip(lines, places, strict=True)), encoding="utf-8"
    )
    ours = Tokenizer(tmp_path / "gaps.txt", 16)
    theirs = tokenizers.Tokenizer.from_str(json.dumps(tokenizer_files(ours)["tokenizer.json"]))
    assert sorted(theirs.get_vocab().values()) == list(range(len(lines) + 2))
    assert {token: theirs.token_to_id(token) for token in ours.vocab} == dict(ours.vocab)
    for text in (*HARD_TEXTS, "[no token 8] 猫"):
        assert theirs.encode(text).ids == ours.encode(text)[0].tolist()
        assert not {8, 9} & set(theirs.encode(text).ids)


def test_the_processor_is_as_close_as_it_comes():
    said = {name: processor_settings(profile) for name, profile in PIXEL_PROFILES.items()}
    assert said["official"]["resample"] == 2 and said["official"]["size"] == {"shortest_edge": 224}
    assert said["clip"]["resample"] == 3 and said["clip"]["do_center_crop"]
    assert said["paddleclas"]["size"] == {"shortest_edge": 256} and said["paddleclas"]["crop_size"]["width"] == 224
    assert said["chinese_clip"]["size"] == {"height": 224, "width": 224} and not said["chinese_clip"]["do_center_crop"]
    margin = processor_settings(replace(PixelProfile(resize="square"), resize_to=256))
    assert margin["size"] == {"height": 256, "width": 256} and margin["do_center_crop"]


def test_a_difference_of_pixels_is_told():
    assert (
        processor_note(Difference((0.0, 0.0), (1.0, 1.0)), "A") == "A gives the model's own pixels of 2 drawn pictures"
    )
    said = processor_note(Difference((1.0, 3.0), (0.99, 0.97)), "A")
    assert "2.00 of 255 levels on average (1.00 to 3.00)" in said and "0.980000 on average, at least 0.970000" in said


def test_more_or_fewer_tensors_leave_nothing(tmp_path, monkeypatch):
    class Model:
        @staticmethod
        def from_pretrained(folder, **options):
            return None, {"missing_keys": ["a"], "unexpected_keys": []}

    module = type(sys)("transformers")
    module.VisionTextDualEncoderModel = Model
    monkeypatch.setitem(sys.modules, "transformers", module)
    monkeypatch.setattr(runtime, "quiet", nullcontext)
    with pytest.raises(CheckpointError, match="missing_keys"):
        runtime.loaded_model(tmp_path)

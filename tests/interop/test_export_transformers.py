"""What is exported to transformers is what its own classes load: the model, the tokenizer, the image processor."""

import functools
import json
import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    AutoImageProcessor,
    AutoTokenizer,
    VisionTextDualEncoderModel,
    VisionTextDualEncoderProcessor,
)

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.device import float32_copy
from ernie_vil2.errors import CheckpointError
from ernie_vil2.export.export import export
from ernie_vil2.export.parity_inputs import drawn_items
from ernie_vil2.export.transformers_form import target, weights
from ernie_vil2.export.transformers_form.tokenizer import HARD_TEXTS
from tests.conftest import ROOT, VOCABULARY
from tests.inference.engines.towers import PLAIN, network, towers

MODELS = {
    "as released": PLAIN,
    "other": towers(
        image={"patch_bias": True, "activation": "gelu", "epsilon": 1e-3, "projection": 24, "depth": 2},
        text={"token_types": 3, "activation": "relu", "epsilon": 1e-3, "projection": 24},
        pixels=replace(PIXEL_PROFILES["bicubic"], size=32),
    ),
    "narrow text": towers(
        image={"projection": 12, "mlp_ratio": 2.5},
        text={"width": 12, "activation": "quick_gelu"},
        pixels=replace(PIXEL_PROFILES["chinese_clip"], size=32),
        lower_case=False,
    ),
}
TEXTS = ["三个红色的圆形", "A small blue dog and two cats on the left of the red circle", "图片"]


class Exported(NamedTuple):
    """A model directory, what it was exported to, what was printed, and pictures to try."""

    path: Path
    out: Path
    said: list[str]
    pictures: list[str]


def saved(folder, config):
    folder.mkdir()
    (folder / "words.txt").write_text("".join(f"{token}\t{index}\n" for index, token in enumerate(VOCABULARY)))
    state = {key: float32_copy(value) for key, value in network(config).state_dict().items()}
    save_model(folder / "model", state, config, folder / "words.txt")
    return folder / "model"


@pytest.fixture(scope="module", autouse=True)
def stand_ins_in_clients(tmp_path_factory):
    """The process of a client gets what this one has (`stand_ins`), as it has the same libraries."""
    folder = tmp_path_factory.mktemp("site")
    (folder / "sitecustomize.py").write_text("from tests.interop import stand_ins\n\nstand_ins.install()\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join([str(folder), str(ROOT)]))
        yield


@pytest.fixture(scope="module")
def exported(tmp_path_factory, stand_ins_in_clients):
    """Function (name in MODELS) -> Exported, made once."""

    @functools.cache
    def make(name):
        folder = tmp_path_factory.mktemp("exported")
        path, out = saved(folder / "source", MODELS[name]), folder / "out"
        pictures = [str(picture) for picture in drawn_items(folder).pictures]
        return Exported(path, out, export(path, out, "transformers"), pictures)

    return make


@pytest.mark.parametrize("name", MODELS)
def test_the_folder_is_the_model(exported, name, caplog):
    found = exported(name)
    ours = ernie_vil2.load(found.path, engine="paddle")
    with caplog.at_level(logging.WARNING):
        model, report = VisionTextDualEncoderModel.from_pretrained(found.out, output_loading_info=True)
    assert not any(report.values()) and not caplog.records
    assert float(model.logit_scale.exp().detach()) == pytest.approx(ours.logit_scale)
    processor = VisionTextDualEncoderProcessor.from_pretrained(found.out, use_fast=False)
    given = processor(text=TEXTS, padding=True, truncation=True, return_tensors="pt")
    ids = ours.tokenize(TEXTS)
    np.testing.assert_array_equal(given["input_ids"].numpy(), ids)
    np.testing.assert_array_equal(given["attention_mask"].numpy(), ids != 0)
    assert (ids == 0).any() and ids.shape[1] > 8, "padding is tried"
    pixels = np.stack([ours.preprocess(picture) for picture in found.pictures])
    with torch.inference_mode():
        theirs = model.eval()(pixel_values=torch.from_numpy(pixels), **given)
    wanted = ours.encode_image(found.pictures)
    assert np.ptp(wanted, axis=0).max() > 1e-2, "pictures are told apart"
    np.testing.assert_allclose(theirs.image_embeds.numpy(), wanted, rtol=0, atol=1e-5)
    np.testing.assert_allclose(theirs.text_embeds.numpy(), ours.encode_text(TEXTS), rtol=0, atol=1e-5)


def test_what_export_json_says(exported):
    """Its table holds batches, lengths and the client; every file is named; notes are in it and are printed."""
    _, out, said, _ = exported("as released")
    found = json.loads((out / "export.json").read_text(encoding="utf-8"))
    listed = {*found["image"]["files"], *found["text"]["files"]}
    assert set(os.listdir(out)) == listed | {"export.json", "client.py", "requirements.txt"}
    rows = found["parity"]["rows"]
    assert {row["batch"] for row in rows if row["given"] == "arrays"} == {1, 3, 8}
    assert {row["length"] for row in rows if row["tower"] == "text"} >= {16}
    assert {row["tower"] for row in rows if row["given"] == "client"} == {"image", "text"}
    assert max(row["difference"] for row in rows) < 1e-5
    assert [f"note: {note}" for note in found["notes"]] == said[:2]
    assert "levels on average" in said[0] and "own ids" in said[1]


def test_other_numbers_leave_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path / "source", PLAIN)
    wrong = weights.Entry((), (16, 16), lambda: np.tri(16, dtype=np.float32))
    monkeypatch.setattr(weights, "identity", lambda width: wrong)
    with pytest.raises(CheckpointError, match="image tower"):
        export(path, tmp_path / "out", "transformers")
    assert os.listdir(tmp_path) == ["source"]


def test_a_missing_tensor_leaves_nothing(tmp_path, monkeypatch):
    path = saved(tmp_path / "source", PLAIN)

    def without_pooler(state, config):
        found = weights.model_state(state, config)
        del found.entries["text_model.pooler.dense.bias"]
        return found

    monkeypatch.setattr(target, "model_state", without_pooler)
    with pytest.raises(CheckpointError, match="pooler"):
        export(path, tmp_path / "out", "transformers")
    assert os.listdir(tmp_path) == ["source"]


@pytest.mark.parametrize("name", MODELS)
def test_pixels_are_ours_where_pillow_makes_both(exported, name):
    """To rounding with Pillow's profiles; OpenCV's pixels are others, and the note says how far."""
    found, pixels = exported(name), MODELS[name].pixels
    ours, processor = ernie_vil2.load(found.path), AutoImageProcessor.from_pretrained(found.out, use_fast=False)
    differences = []
    for picture in found.pictures:
        theirs = processor(images=Image.open(picture), return_tensors="np")["pixel_values"][0]
        scale = np.array(pixels.std)[:, None, None] * 255
        differences.append(float((np.abs(theirs - ours.preprocess(picture)) * scale).mean()))
    if pixels.decoder == "opencv":
        assert 0.5 < np.mean(differences) < 15
        assert f"differ by {np.mean(differences):.2f} of 255 levels" in found.said[0]
    else:
        assert max(differences) < 1e-4 and "gives the model's own pixels" in found.said[0]


@pytest.mark.parametrize("name", ("as released", "narrow text"))
def test_ids_are_ours(exported, name):
    """Lower-cased and not, of texts that are hard, cut and padded."""
    found = exported(name)
    ours, theirs = ernie_vil2.load(found.path).tokenizer, AutoTokenizer.from_pretrained(found.out)
    texts = list(HARD_TEXTS)
    assert theirs(texts, padding=True, truncation=True)["input_ids"] == ours.encode(texts).tolist()
    assert theirs.model_max_length == 16 and theirs.pad_token_id == 0


def test_the_client_ranks_as_we_do(exported):
    """Run as a person runs it, in a process that has neither this project nor Paddle."""
    path, out, _, pictures = exported("as released")
    program = (
        "import runpy, sys; sys.modules.update(dict.fromkeys(('ernie_vil2', 'paddle')));"
        "runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    )
    command = [sys.executable, "-c", program, str(out / "client.py"), *pictures, "--", *TEXTS]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = ernie_vil2.load(path)
    scores = ours.encode_text(TEXTS) @ ours.encode_image(pictures).T
    lines = done.stdout.splitlines()
    for number, text in enumerate(TEXTS):
        head, *ranked = lines[number * (len(pictures) + 1) :][: len(pictures) + 1]
        assert head == text
        order = np.argsort(-scores[number], kind="stable")
        assert [line.split()[1] for line in ranked] == [pictures[place] for place in order]

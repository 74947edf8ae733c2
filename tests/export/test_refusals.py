"""What cannot be exported is one sentence, told before the weights are read, and nothing is left."""

import errno
import os
import shutil

import numpy as np
import pytest

from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli.export import main
from ernie_vil2.config.model import ModelConfig
from ernie_vil2.device import float32_copy
from ernie_vil2.errors import UserError
from ernie_vil2.export import export as exporting
from ernie_vil2.export import exported_model, graph_targets
from ernie_vil2.export import place as placing
from ernie_vil2.export.export import export
from ernie_vil2.export.place import new_folder
from tests.cli.commands import content
from tests.inference.engines.towers import PLAIN, network


@pytest.fixture
def here(tmp_path, directory, monkeypatch):
    """The working directory with a model, whose weights nobody may read."""
    directory("plain")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(exporting, "exported_model", None)
    return tmp_path


def refused(*arguments, **options):
    """The sentence of an export that is refused, which leaves everything as it was."""
    with pytest.raises(UserError) as caught:
        export(*arguments, **options)
    assert "\n" not in str(caught.value) and ";" in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(
    "options, told",
    [
        ({"to": "padle"}, "--to is 'padle', which is no target; did you mean paddle?"),
        ({"to": "42"}, "--to is '42', which is no target; give one of paddle, "),
        ({"weights": "avarage"}, "--weights is 'avarage'; did you mean average?"),
        ({"max_length": 33}, "--max-length 33 is beyond the 32 positions of the text tower; give at most 32"),
        (
            {"weights": "trained"},
            "model has one set of weights, no average beside the trained ones; leave out --weights",
        ),
        ({"target": "model/out"}, "model/out lies in the model that is exported; choose a place outside of model"),
        ({"target": "model"}, "model exists and is not a folder of an export, so it is not replaced"),
        ({"target": "model", "replace": True}, "model exists and is not a folder of an export, so it is not replaced"),
        ({"target": "file"}, "file exists and is not a folder of an export, so it is not replaced"),
        ({"model": "gone"}, "gone does not exist; give a model directory or a .pdparams file"),
    ],
)
def test_what_the_arguments_show(here, options, told):
    (here / "file").write_text("mine")
    before = content(here)
    said = refused(**{"model": "model", "target": "out", "to": "openvino", **options})
    assert said.startswith(told) and content(here) == before


def test_an_earlier_export_stays_unless_it_is_to_be_replaced(quick, here, monkeypatch):
    monkeypatch.setattr(exporting, "exported_model", exported_model.exported_model)
    export("model", "out", "openvino")
    before = content(here)
    assert refused("model", "out", "openvino").startswith("out is an earlier export; choose another name, or give")
    shutil.copytree("model", "out/model")
    told = "out is the folder that holds the source out/model"
    assert refused("out/model", "out", "openvino", replace=True).startswith(told)
    shutil.rmtree("out/model")
    assert content(here) == before
    (here / "out/extra").write_text("goes with the folder")
    export("model", "out", "openvino", replace=True)
    assert content(here).keys() == before.keys()


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_model_of_one_tower(here, directory, kind):
    shutil.rmtree("model")
    directory(f"{kind} alone")
    other = {"image": "text", "text": "image"}[kind]
    assert f"model has no {other} tower, and an export is of both" in refused("model", "out", "openvino")


def test_a_tower_that_another_library_built(here, monkeypatch):
    tower = {"paddleclas": "ResNet50", "width": 2048, "projection": 16, "image_size": 32}
    config = ModelConfig.from_dict({**PLAIN.to_dict(), "image_tower": tower})
    monkeypatch.setattr(exported_model, "open_model", lambda path, vocab: ({}, config, None))
    said = refused("model", "out", "openvino")
    assert said.startswith("the image tower of model is of kind paddleclas, which another library builds, so it is not")
    assert "ernie-vil2 convert" in said


def test_a_length_for_a_model_that_reads_its_padding(here, directory):
    shutil.rmtree("model")
    directory("fixed length")
    said = refused("model", "out", "openvino", max_length=12)
    assert said.startswith("--max-length 12 would change every embedding of a text: this model pads each to 16 tokens")


def test_a_runtime_that_is_not_installed(here, monkeypatch):
    monkeypatch.setattr(graph_targets, "installed_version", lambda name: None)
    said = refused("model", "out", "openvino")
    assert said == "--to openvino needs openvino, which is not installed; install it with: pip install openvino"


def test_a_tower_without_a_graph(here, monkeypatch):
    monkeypatch.setattr(exporting, "exported_model", exported_model.exported_model)

    def fail(*arguments):
        raise RuntimeError("a network that asks the weather")

    monkeypatch.setattr(graph_targets.OpenVinoTarget, "write_graph", fail)
    before = content(here)
    said = refused("model", "out", "openvino")
    assert said.startswith("the image tower has no graph for openvino, a network that asks the weather; choose another")
    assert content(here) == before


@pytest.mark.parametrize("tower", ["image", "text"])
def test_weights_that_are_no_numbers(quick, here, tower, monkeypatch):
    monkeypatch.setattr(exporting, "exported_model", exported_model.exported_model)
    state = {key: float32_copy(value) for key, value in network(PLAIN).state_dict().items()}
    state["visual.norm_pre.bias" if tower == "image" else "text_model.pooler.bias"][0] = np.nan
    vocab = (here / "model/vocab.txt").rename(here / "vocab.txt")
    shutil.rmtree("model")
    save_model(here / "model", state, PLAIN, vocab)
    before = content(here)
    said = refused("model", "out", "openvino")
    assert said.startswith("the model's embeddings are not finite") and f"the first is {tower} 0" in said
    assert content(here) == before


@pytest.mark.parametrize("number, told", [(errno.EBUSY, "cannot write .*busy"), (errno.ENOTEMPTY, "another process")])
def test_only_what_is_in_the_way_is_said_to_be_another_process(tmp_path, monkeypatch, number, told):
    (tmp_path / "out").mkdir()

    def refuse(*arguments):
        raise OSError(number, os.strerror(number))

    with pytest.raises(UserError, match=told), new_folder(tmp_path / "out", replace=False):
        monkeypatch.setattr(placing.os, "rename", refuse)
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize(
    "options, told",
    [
        ([], "the following arguments are required: --to"),
        (["--to", "openvino", "--max-length", "2"], "argument --max-length: must be at least 3"),
        (["--to", "openvino", "--max-length", "long"], "'long' is no whole number"),
    ],
)
def test_wrong_arguments_are_one_line(here, options, told, capsys):
    with pytest.raises(SystemExit):
        main(["model", "out", *options])
    assert told in capsys.readouterr().err.splitlines()[-1] and not (here / "out").exists()


def test_a_model_of_the_release_needs_a_vocabulary(here):
    from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams

    state = {key: float32_copy(value) for key, value in network(PLAIN).state_dict().items()}
    write_pdparams(here / "weights.pdparams", state)
    assert "vocab" in refused("weights.pdparams", "out", "openvino")

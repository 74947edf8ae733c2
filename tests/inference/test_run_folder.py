"""The folder of a run stands for its latest whole checkpoint, and the one that is taken is told."""

import logging
import shutil

import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli import encode
from ernie_vil2.cli.arguments import model_path
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import CheckpointError
from ernie_vil2.files.run_folder import latest_model, step_name


@pytest.fixture
def run(tmp_path, tiny_config, tiny_vocab, finite_bits):
    """A run's folder with whole checkpoints of steps 2 and 10, and what a kill left of 12."""
    from ernie_vil2.checkpoints import release_layout

    for step in (2, 10, 12):
        shapes = release_layout.manifest(tiny_config)
        state = {key: finite_bits(shape, seed=step + at) * 0.1 for at, (key, shape) in enumerate(shapes.items())}
        path = tmp_path / "run" / "checkpoints" / step_name(step)
        save_model(path, state, tiny_config, tiny_vocab)
        if step < 12:
            (path / "state.json").write_text("{}")
    return tmp_path / "run"


def test_the_latest_whole_checkpoint_is_taken_and_told(run, caplog):
    wanted = run / "checkpoints" / "step-0000010"
    assert latest_model(run) == latest_model(run / "checkpoints") == latest_model(wanted) == wanted
    with caplog.at_level(logging.WARNING, "ernie_vil2"):
        found = ernie_vil2.load(run).encode_text("红色的猫")
    assert f"its latest checkpoint is taken, {wanted}" in caplog.text
    caplog.clear()
    assert (found == ernie_vil2.load(wanted).encode_text("红色的猫")).all() and not caplog.text
    assert (found != ernie_vil2.load(run / "checkpoints" / "step-0000002").encode_text("红色的猫")).any()


def test_a_command_names_the_checkpoint_it_takes(run, tmp_path, capsys):
    assert model_path(str(run / "checkpoints" / "step-0000002")).endswith("step-0000002")
    assert capsys.readouterr().err == ""
    encode.main(["--model", str(run), "--input", "scenes:size=2,image_size=32", "--output", str(tmp_path / "out")])
    assert "latest checkpoint is taken, " + str(run / "checkpoints" / "step-0000010") in capsys.readouterr().err


def test_a_run_without_a_checkpoint_is_no_model(run):
    shutil.rmtree(run / "checkpoints")
    (run / "checkpoints").mkdir()
    assert latest_model(run) == run
    with pytest.raises(CheckpointError, match="is not a model directory"):
        ernie_vil2.load(run)


def test_a_training_starts_from_the_latest_checkpoint_of_a_run(run, tmp_path, caplog):
    (tmp_path / "tune.yaml").write_text(f"init: {{model: {run}}}\ndata: {{train: scenes}}\n", encoding="utf-8")
    with caplog.at_level(logging.WARNING, "ernie_vil2"):
        config = load_run(tmp_path / "tune.yaml")
    wanted = str(run / "checkpoints" / "step-0000010")
    assert config.init.text == config.init.image == wanted and wanted in caplog.text
    assert config.model.text_tower.width == 32

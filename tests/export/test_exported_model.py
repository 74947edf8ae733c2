"""Which weights leave: of a checkpoint the averaged model, or the trained parameters, low-rank updates merged."""

import json
import shutil

import numpy as np
import pytest

from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.export.export import export
from ernie_vil2.export.exported_model import WEIGHTS, exported_model
from ernie_vil2.export.targets import TARGETS
from ernie_vil2.files.run_folder import latest_model
from ernie_vil2.training.rig import arrays_of
from ernie_vil2.training.trainer import Trainer
from tests.inference.engines.towers import batches, dynamic
from tests.training.test_trainer import run_config


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """(folder of a run with an average and low-rank updates, the trainer after its last step)"""
    folder = tmp_path_factory.mktemp("trained")
    changes = {"train__steps": 3, "train__ema": 0.8, "train__eval_every": 0, "optimizer__lr": 0.03, "lora__rank": 2}
    trainer = Trainer(run_config(folder / "run", **changes))
    trainer.run()
    return folder / "run", trainer


def test_the_one_that_is_asked_for_is_in_the_files(quick, run, tmp_path):
    export(run[0], tmp_path / "out", "openvino", weights="trained")
    trained = exported_model(latest_model(run[0]), weights="trained")
    (arrays,) = batches(trained.config, "text", sizes=(3,), lengths=(16,))
    found = TARGETS["openvino"].runs(trained, tmp_path / "out")["text"](*arrays)
    np.testing.assert_allclose(found, dynamic(trained.network, "text", arrays), rtol=0, atol=2e-5)
    assert json.loads((tmp_path / "out/export.json").read_text())["weights"] == "trained"


def test_no_export_lies_in_a_run(run):
    for place in ("out", "checkpoints/out"):
        with pytest.raises(ConfigError, match="out lies in the model that is exported; choose a place outside of"):
            export(run[0], run[0] / place, "openvino")
    assert not list(run[0].rglob("out"))


def test_a_damaged_set_of_weights_is_told_and_nothing_is_written(run, tmp_path):
    checkpoint = shutil.copytree(latest_model(run[0]), tmp_path / "step-0000003")
    file = checkpoint / "parameters.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    with pytest.raises(CheckpointError, match="parameters.safetensors is damaged: it is not the file that state.json"):
        export(checkpoint, tmp_path / "out", "openvino", weights="trained")
    assert [path.name for path in tmp_path.iterdir()] == ["step-0000003"]


def test_trained_weights_are_those_of_the_last_step_and_others_than_the_average(run, tmp_path):
    folder, trainer = run
    average, trained = (exported_model(latest_model(folder), weights=weights) for weights in WEIGHTS)
    assert not [name for name in arrays_of(trained.network) if "lora" in name]
    for kind in ("image", "text"):
        (arrays,) = batches(average.config, kind, sizes=(3,), lengths=(16,))
        wanted = dynamic(trainer.rig.model, kind, arrays)
        np.testing.assert_allclose(dynamic(trained.network, kind, arrays), wanted, rtol=0, atol=2e-5)
        assert np.abs(dynamic(average.network, kind, arrays) - wanted).max() > 1e-3

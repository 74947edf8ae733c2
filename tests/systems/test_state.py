"""State that belongs to a system survives a resume bit for bit, on another number of ranks too."""

import shutil

import numpy as np
import pytest

from ernie_vil2.checkpoints.formats.safetensors_file import open_safetensors
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.training.trainer import Trainer
from tests.systems.counting import ROOM, Counting
from tests.training.runs import write_config
from tests.training.test_ranks import launch


def run(folder, processes, *arguments):
    launch(processes, folder, "tests/training/jobs.py", "train", folder, *arguments)


def state(folder, step):
    path = folder / "run" / "checkpoints" / f"step-{step:07d}" / "system.safetensors"
    return {key: np.asarray(value) for key, value in open_safetensors(path).items()}


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The folder of a run of 8 steps in one process, with checkpoints after 4 and 8."""
    folder = tmp_path_factory.mktemp("straight")
    train = {"steps": 8, "batch_size": 6, "micro_batch": 3, "save_every": 4, "keep": 9}
    path = write_config(folder, train=train, data__workers=0)
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace("model:\n", "model:\n  system: counting\n"), encoding="utf-8")
    run(folder, 1)
    return folder


@pytest.mark.parametrize("processes", [1, 2])
def test_a_resumed_run_has_the_state_of_a_straight_one(straight, tmp_path, processes):
    shutil.copytree(straight / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints" / "step-0000008")
    text = (straight / "run.yaml").read_text(encoding="utf-8")
    (tmp_path / "run.yaml").write_text(text.replace(str(straight), str(tmp_path)), encoding="utf-8")
    run(tmp_path, processes, "--resume")
    wanted, found = state(straight, 8), state(tmp_path, 8)
    assert wanted["count"].tolist() == [8] and np.count_nonzero(wanted["recent"]) == ROOM
    for key, value in wanted.items():
        assert (found[key].dtype, found[key].tobytes()) == (value.dtype, value.tobytes()), key
    assert state(tmp_path, 4)["recent"].tobytes() != wanted["recent"].tobytes()


def test_the_model_directory_names_its_system(straight):
    import ernie_vil2

    path = straight / "run" / "checkpoints" / "step-0000008"
    assert '"system": "counting"' in (path / "config.json").read_text(encoding="utf-8")
    assert ernie_vil2.load(path).config.system == Counting.kind


def test_a_system_that_nobody_knows_is_one_sentence(straight, tmp_path):
    config = load_run(straight / "run.yaml", [f"output={tmp_path}", "model.system=countin"])
    with pytest.raises(ConfigError, match="model.system is 'countin'; did you mean 'counting'"):
        Trainer(config)
    config.model.system, config.model.settings = "counting", {"room": 3}
    with pytest.raises(ConfigError, match="model.settings has room, but the system counting has none"):
        Trainer(config)


def test_a_checkpoint_of_another_system_is_refused(straight, tmp_path):
    config = load_run(straight / "run.yaml", [f"output={tmp_path}", "model.system=ernie_vil2"])
    with pytest.raises((ConfigError, CheckpointError), match="model.system was 'counting' and is 'ernie_vil2'"):
        Trainer(config, str(straight / "run" / "checkpoints" / "step-0000004"))

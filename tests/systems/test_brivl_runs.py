"""Runs of a small BriVL: killed and gone on with, on two ranks too; fine-tuned from twins, with boxes or a grid."""

import shutil

import numpy as np
import pytest
import yaml

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.checkpoints.release_layout import MOMENTUM
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from ernie_vil2.training.rig import build
from ernie_vil2.training.trainer import Trainer
from tests.systems.brivl_tiny import DATA, OBJECTIVE, tiny_model
from tests.training.queue_cases import case_config
from tests.training.runs import arrays, different, kill_and_go_on, train, write_recipe

VALID = {**DATA["train"], "split": "valid", "size": 10}


def recipe(folder, **sections):
    """Path of a run with boxes, dropout, augmentation, gradient cache, average and two workers."""
    data = {
        "model": tiny_model(),
        "data": DATA,
        "objective": OBJECTIVE,
    }
    return write_recipe(folder, 6, {**data, **sections})


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The folder of 6 straight steps, saved after 3 and 6."""
    folder = tmp_path_factory.mktemp("straight")
    done = train("-c", recipe(folder))
    assert done.returncode == 0, done.stderr[-2000:]
    return folder


@pytest.mark.slow
def test_a_run_that_was_killed_has_the_bits_of_a_straight_one(straight, tmp_path):
    path, saved = recipe(tmp_path), tmp_path / "run/checkpoints/step-0000003"
    kill_and_go_on(path, saved, 3)
    found, wanted = arrays(tmp_path, 6), arrays(straight, 6)
    assert {"queue", "momentum", "average", "optimizer"} <= {key.split("/")[0] for key in wanted}
    assert wanted["queue/pointer"].tolist() == [72 % 29]
    assert different(found, wanted) == [] and different(found, arrays(straight, 3)) != []


@pytest.mark.slow
def test_two_ranks_go_on_with_the_run_of_one(straight, tmp_path):
    shutil.copytree(straight / "run", tmp_path / "run")
    shutil.rmtree(tmp_path / "run/checkpoints/step-0000006")
    path = recipe(tmp_path)
    done = train("-c", path, "--resume", "auto", processes=2, log_dir=tmp_path / "launch")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-2000:]
    found, wanted = arrays(tmp_path, 6), arrays(straight, 6)
    assert set(found) == set(wanted)
    for group in ("queue/embeds", "momentum", "model"):
        names = [key for key in wanted if key.startswith(group) and not key.endswith(("attn.k.bias", "qkv.bias"))]
        one, two = (np.concatenate([of[key].ravel().astype("f8") for key in names]) for of in (wanted, found))
        assert np.linalg.norm(one - two) < 1e-4 * np.linalg.norm(one), group
    for key in wanted:
        if key.startswith("queue/") and not key.startswith("queue/embeds"):
            assert np.array_equal(found[key], wanted[key]), key


@pytest.fixture
def released(tmp_path):
    """A model directory with twins, as the released file gives one: (path, {key: array})."""
    rig = build(case_config(tmp_path, {"image_tower": {}}))
    rig.close()
    model = {key: value.numpy() for key, value in rig.model.state_dict().items()}
    rng = np.random.default_rng(3)
    for key in (key for key in model if "head." in key):  # others than the same seed gives
        model[key] = (model[key] + 0.1 * rng.standard_normal(model[key].shape)).astype(np.float32)
    twins = {
        MOMENTUM + key: (value + 0.01 * rng.standard_normal(value.shape)).astype(np.float32)
        for key, value in model.items()
        if "temperature" not in key
    }
    path = tmp_path / "released"
    save_model(path, {**model, **twins}, rig.config.model, rig.config.data.vocab)
    return path, {**model, **twins}


def tuned(folder, start, **settings):
    """The Trainer of one step from a model directory, with other settings of the system."""
    folder.mkdir()
    sections = {"init": {"model": str(start)}, "data": {**DATA, "workers": 0, "valid": VALID}}
    sections["train"] = {"steps": 1, "batch_size": 6, "micro_batch": 3, "eval_every": 1}
    path = recipe(folder, **sections, optimizer={"lr": 1e-3, "warmup": 0})
    data = yaml.safe_load(path.read_text(encoding="utf-8"))
    del data["model"]
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return Trainer(load_run(path, [f"model.settings.{key}={value}" for key, value in settings.items()]))


def test_fine_tuning_goes_from_boxes_to_a_grid_and_back(released, tmp_path, random_image):
    start, held = released
    trainer = tuned(tmp_path / "grid", start, regions="grid", grid=2)
    copy = trainer.rig.momentum.state()
    assert (
        different(
            {MOMENTUM + key: value for key, value in copy.items() if MOMENTUM + key in held},
            {key: value for key, value in held.items() if key.startswith(MOMENTUM)},
        )
        == []
    )
    own = trainer.rig.weights.arrays()
    assert different({key: held[key] for key in own}, own) == [] and trainer.maker.boxes == 0
    divided = trainer.run()
    model, image = ernie_vil2.load(divided), random_image(40, 50)
    assert (model.config.settings["regions"], len(model.network.default_boxes())) == ("grid", 5)
    with pytest.raises(ConfigError, match="boxes"):
        model.encode_image(image, boxes=[[1, 2, 30, 30]])
    back = tuned(tmp_path / "boxes", divided, regions="boxes")
    assert back.maker.boxes == 4
    model = ernie_vil2.load(back.run())
    assert not np.allclose(model.encode_image(image, boxes=[[1, 2, 30, 30]]), model.encode_image(image), atol=1e-4)

"""A system with settings, a layer and an array of its own, written from docs/extending.md: trained, resumed, loaded."""

import dataclasses
import json
import shutil

import numpy as np
import paddle
import pytest

import ernie_vil2
from ernie_vil2.config.load import load_run
from ernie_vil2.conversion.convert import convert
from ernie_vil2.errors import CheckpointError, ConfigError
from ernie_vil2.objectives.contrastive import ContrastiveObjective
from ernie_vil2.training.trainer import Trainer
from tests.systems.residual import Residual
from tests.training.runs import arrays, different, write_config

SCENES = {"kind": "scenes", "image_size": 32, "languages": ["zh"]}
TEXTS = ["红色的圆", "三只猫", "大"]


def config_in(folder, **changes):
    """A run of 4 steps in `folder`, with dropout, that saves every 2 and is measured at its end."""
    folder.mkdir(exist_ok=True)
    base = {
        "model__system": "residual",
        "model__settings": {"scale": 0.5, "width": 6},
        "data": {
            "train": {**SCENES, "size": 50},
            "valid": {**SCENES, "split": "valid", "size": 20},
            "workers": 0,
        },
        "objective": {"pairs": [["image", "caption"]]},
        "train": {"steps": 4, "batch_size": 8, "log_every": 1, "save_every": 2},
    }
    return load_run(write_config(folder, **{**base, **changes}))


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """(folder, system, model directory) of the run, straight to its end."""
    folder = tmp_path_factory.mktemp("residual") / "straight"
    trainer = Trainer(config_in(folder))
    path = trainer.run()
    return folder, trainer.rig.system, path


def records(folder, kind):
    lines = (folder / "run" / "log.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def edited(path, folder, **changes):
    """A copy of the model directory `path` whose config.json says something else."""
    shutil.copytree(path, folder)
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, **changes}), encoding="utf-8")
    return folder


def test_layer_and_state_take_part_in_training(trained):
    folder, system, _ = trained
    steps = records(folder, "train")
    assert [record["step"] for record in steps] == [1, 2, 3, 4]
    assert steps[0]["centre"] == 0 and all(record["centre"] > 0.01 for record in steps[1:])
    for record in steps:
        assert record["loss"] == pytest.approx(record["image-caption"] + record["centre"], rel=1e-5)
    early, late = arrays(folder, 2), arrays(folder, 4)
    for name in ("model/down.weight", "model/down.bias", "model/up.weight", "model/up.bias", "system/centre"):
        assert not np.array_equal(early[name], late[name]), name
    assert late["model/down.weight"].shape == (32, 6)
    np.testing.assert_array_equal(late["system/centre"], system.centre)


def test_layer_belongs_to_the_text_tower(trained):
    """Norms and freezing of a tower go by what `towers` names."""
    _, system, _ = trained
    held = {name: {id(value) for value in tower.parameters()} for name, tower in system.towers().items()}
    extra = {id(value) for name, value in system.model.named_parameters() if name.startswith(("down.", "up."))}
    assert len(extra) == 4 and extra <= held["text"] and not extra & held["image"]


def test_recall_is_logged(trained):
    (record,) = records(trained[0], "valid")
    assert (record["step"], record["source"]) == (4, "scenes:valid")
    assert 0 < record["t2i_r10"] <= 100 and 0 < record["i2t_r10"] <= 100
    assert record["mean_recall"] == pytest.approx(
        np.mean([record[f"{way}_r{k}"] for way in ("t2i", "i2t") for k in (1, 5, 10)])
    )


def test_two_and_two_steps_are_four(trained, tmp_path):
    folder, _, _ = trained
    config = config_in(tmp_path / "resumed")
    Trainer(config, str(folder / "run/checkpoints/step-0000002")).run()
    straight = arrays(folder, 4)
    assert {"model/up.weight", "optimizer/up.weight.moment1", "system/centre"} <= set(straight)
    assert different(arrays(tmp_path / "resumed", 4), straight) == []
    assert [record["step"] for record in records(tmp_path / "resumed", "train")] == [3, 4]


def test_loaded_model_is_the_trained_one_with_its_layer(trained, tmp_path):
    _, system, path = trained
    extra = json.loads((path / "config.json").read_text(encoding="utf-8"))["extra"]
    assert (extra["plugins"], extra["system_plugin"]) == (["tests.systems.residual"], "tests.systems.residual")
    model = ernie_vil2.load(path)
    found = model.encode_text(TEXTS)
    system.model.eval()
    with paddle.no_grad():
        raw = system.model.encode_text(paddle.to_tensor(model.tokenize(TEXTS))).numpy()
    np.testing.assert_allclose(found, raw / np.linalg.norm(raw, axis=1, keepdims=True), atol=1e-6)
    without = edited(path, tmp_path / "without", settings={"scale": 0.0, "width": 6})
    assert np.abs(ernie_vil2.load(without).encode_text(TEXTS) - found).max() > 0.01


@pytest.mark.parametrize(
    "settings, sentence",
    [
        ({"widht": 6}, "unknown key 'model.settings.widht'; did you mean 'model.settings.width'?"),
        ({"scale": "much"}, "model.settings.scale must be of type float, not 'much'"),
        ({"width": 2.5}, "model.settings.width must be of type int, not 2.5"),
        ({"width": 0}, "model.settings.width is 0 but must be at least 1"),
    ],
)
def test_wrong_settings_are_refused_before_a_model_is_built(tmp_path, monkeypatch, settings, sentence):
    monkeypatch.setattr(Residual, "network", lambda *_: pytest.fail("a model is built"))
    config = config_in(tmp_path / "wrong", model__settings=settings)
    with pytest.raises(ConfigError) as caught:
        Trainer(config)
    assert str(caught.value) == f"the configuration: {sentence}"
    assert not (tmp_path / "wrong" / "run").exists()


def test_checkpoint_is_refused_under_another_system(trained, tmp_path):
    _, _, path = trained
    config = config_in(tmp_path / "plain", model__system="ernie_vil2", model__settings={})
    with pytest.raises(ConfigError, match=r"belongs to another run: model\.system was 'residual' and is 'ernie_vil2'"):
        Trainer(config, str(path))
    config = config_in(tmp_path / "other", model__settings={"scale": 0.25, "width": 6})
    with pytest.raises(ConfigError, match=r"model\.settings\.scale was 0\.5 and is 0\.25"):
        Trainer(config, str(path))
    plain = edited(path, tmp_path / "edited", system="ernie_vil2", settings={})
    with pytest.raises(CheckpointError, match=r"unexpected: down\.weight"):
        ernie_vil2.load(plain)
    with pytest.raises(ConfigError, match="model.system is 'nobody'; known are .*ernie_vil2, .*residual"):
        ernie_vil2.load(edited(path, tmp_path / "nobody", system="nobody", extra={}))
    with pytest.raises(CheckpointError, match="the system 'other' and was made with --plugin tests.systems.residual"):
        ernie_vil2.load(edited(path, tmp_path / "lost", system="other"))


@pytest.mark.parametrize("taken", [True, False])
def test_low_rank_updates_freeze_the_layers_of_a_system_that_were_taken_from_a_model(trained, tmp_path, taken):
    init = {"model": str(trained[2])} if taken else {}
    trainer = Trainer(config_in(tmp_path / "lora", lora={"rank": 2, "towers": ["text"]}, init=init))
    learning = {name for name, value in trainer.rig.model.named_parameters() if not value.stop_gradient}
    assert ({"down.weight", "up.bias"} <= learning) == (not taken) == bool({"down.weight", "up.bias"} & learning)
    assert "visual.class_embedding" in learning
    assert {name for name in learning if name.startswith("text_model.")} == {
        name for name in learning if name.endswith((".lora_a", ".lora_b"))
    }


def test_a_run_starts_from_the_layers_of_its_own_system_too(trained, tmp_path):
    _, _, path = trained
    config = config_in(tmp_path / "own", init={"model": str(path)}, seed=5)
    found = Trainer(config).rig.model.state_dict()
    wanted = ernie_vil2.load(path).network.state_dict()
    for key in ("down.weight", "up.bias", "text_model.pooler.weight"):
        assert np.array_equal(found[key].numpy(), wanted[key].numpy()), key


def test_only_a_model_directory_has_room_for_layers_of_a_system(trained, tmp_path):
    _, _, path = trained
    for target, to in (("weights.pdparams", None), ("nlp", "paddlenlp"), ("torch", "torch")):
        with pytest.raises(ConfigError, match="is of the system residual, whose layers .* write a model directory"):
            convert(path, tmp_path / target, to)
        assert not (tmp_path / target).exists()
    said = convert(path, tmp_path / "copy")
    assert any(line.startswith("check: ") for line in said)
    assert np.array_equal(
        ernie_vil2.load(tmp_path / "copy").encode_text(TEXTS), ernie_vil2.load(path).encode_text(TEXTS)
    )


def test_a_system_may_want_other_views_than_the_objective_of_the_configuration(tmp_path, monkeypatch):
    def objective(config):
        pairs = [["image", "caption"], ["image", "tags"]]
        return ContrastiveObjective(dataclasses.replace(config.objective, pairs=pairs))

    monkeypatch.setattr(Residual, "objective_of", objective)
    trainer = Trainer(config_in(tmp_path / "views", train={"steps": 1, "batch_size": 8}, optimizer={"warmup": 0}))
    trainer.run()
    assert trainer.rig.parts == ("image-caption", "image-tags", "centre")

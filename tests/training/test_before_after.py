"""Fine-tuning says by itself what the model could do before and what it can after, on its own and on other data."""

import json

import pytest
import yaml

from ernie_vil2.config.load import load_run
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import ConfigError
from ernie_vil2.evaluation.encoding import encode_source
from ernie_vil2.evaluation.retrieval import evaluate
from ernie_vil2.inference.model import load
from ernie_vil2.training.trainer import Trainer
from tests.training.test_trainer import run_config

OTHER = {"kind": "scenes", "split": "test", "size": 16, "image_size": 32, "languages": ["zh"]}


def records(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def start(tmp_path_factory):
    """A model directory that was trained for a few steps from random weights."""
    folder = tmp_path_factory.mktemp("start")
    return Trainer(run_config(folder / "run", data__zero_shot={"other": OTHER})).run()


def recipe(folder, start, **sections):
    data = {
        "output": str(folder / "tuned"),
        "init": {"model": str(start)},
        "data": {
            "train": {"kind": "scenes", "size": 32, "image_size": 32, "languages": ["zh"]},
            "valid": {"kind": "scenes", "split": "valid", "size": 20, "image_size": 32, "languages": ["zh"]},
            "zero_shot": {"other": OTHER},
        },
        "optimizer": {"lr": 3e-3, "warmup": 0},
        "train": {"steps": 2, "batch_size": 8, "log_every": 1},
    }
    for name, keys in sections.items():
        data[name] = {**data.get(name, {}), **keys}
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(data), encoding="utf-8")
    return path


def test_what_was_before_is_measured_on_the_weights_that_would_be_saved(start, tmp_path, monkeypatch):
    trainer, seen = Trainer(load_run(recipe(tmp_path, start, train={"steps": 1, "ema": 0.9}))), []
    weight = trainer.rig.weights.spans[0].parameter
    trainer.rig.ema.averages.scale_(0.5)
    own = weight.numpy().copy()
    monkeypatch.setattr(trainer.validation, "start", lambda *_: seen.append(weight.numpy().copy()))
    trainer.run()
    assert own.any() and (seen[0] == 0.5 * own).all()


def test_fine_tuning_reports_what_was_before_and_what_is_after(start, tmp_path, capsys):
    path = Trainer(load_run(recipe(tmp_path, start))).run()
    found = {(entry["kind"], entry["step"]): entry for entry in records(tmp_path / "tuned") if entry["kind"] != "train"}
    assert set(found) == {("valid", 0), ("zero_shot", 0), ("valid", 2), ("zero_shot", 2)}
    source = open_source(OTHER)
    for step, directory in ((0, start), (2, path)):
        wanted = evaluate(encode_source(load(directory), source), "standard")["standard"]
        assert found["zero_shot", step]["mean_recall"] == pytest.approx(wanted["mean_recall"])
    table = capsys.readouterr().out.split("before -> after")[1].splitlines()
    assert [line.split()[0] for line in table[1:3]] == ["valid", "other"]
    assert f"{found['zero_shot', 0]['mean_recall']:.1f} ->" in table[2]


def test_a_resumed_run_remembers_what_was_before(start, tmp_path, capsys):
    config = recipe(tmp_path, start)
    Trainer(load_run(config, ["train.steps=4", "train.save_every=2"]))  # checked alone
    first = Trainer(load_run(config, ["train.steps=4", "train.save_every=2", "optimizer.schedule=constant"]))
    original, saved = first.save, []

    def stopping(*arguments):
        saved.append(original(*arguments))
        raise KeyboardInterrupt

    first.save = stopping
    with pytest.raises(KeyboardInterrupt):
        first.run()
    capsys.readouterr()
    Trainer(load_run(config, ["train.steps=4", "train.save_every=2", "optimizer.schedule=constant"]), "auto").run()
    assert "before -> after" in capsys.readouterr().out
    assert [entry["step"] for entry in records(tmp_path / "tuned") if entry["kind"] == "zero_shot"] == [0, 4]


def test_the_temperature_of_the_start_is_taken(start, tmp_path):
    (tmp_path / "warm").mkdir()
    warm = Trainer(load_run(recipe(tmp_path / "warm", start), ["optimizer.lr=0.2", "train.steps=1"])).run()
    scale = load(warm).logit_scale
    assert abs(scale - load(start).logit_scale) > 0.5
    tuned = Trainer(load_run(recipe(tmp_path, warm)))
    assert tuned.rig.model.logit_scale().item() == pytest.approx(scale)


def test_a_folder_of_another_program_is_no_start(start, tmp_path):
    (tmp_path / "bert").mkdir()
    (tmp_path / "bert" / "config.json").write_text('{"hidden_size": 768}', encoding="utf-8")
    path = recipe(tmp_path, tmp_path / "bert")
    words = "is '.*bert', but .*config.json cannot be read .it is not that of a model directory of this project"
    with pytest.raises(ConfigError, match=f"init.model {words}"):
        load_run(path)
    with pytest.raises(ConfigError, match=f"init.text {words}"):
        load_run(path, [f"init={{text: {tmp_path / 'bert'}}}"])


def test_a_run_from_random_weights_has_no_before(start):
    assert [entry["step"] for entry in records(start.parents[1]) if entry["kind"] == "zero_shot"] == [6]


def test_a_recipe_takes_the_sizes_of_its_start_and_changes_what_it_names(start, tmp_path):
    config = load_run(recipe(tmp_path, start, model={"text_tower": {"dropout": 0.3}}))
    saved = json.loads((start / "config.json").read_text(encoding="utf-8"))
    assert config.model.text_tower.dropout == 0.3
    assert config.model.image_tower.width == saved["image_tower"]["width"] == 32
    assert config.init.text == config.init.image == str(start)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (
            {"init": {"model": "nowhere"}},
            "init.model is 'nowhere', but nowhere/config.json cannot be read .*No such file",
        ),
        ({"init": {"text": "x"}}, "init.model and init.text are both set"),
        ({"init": {"model": "nowhere", "modle": "x"}}, "unknown key 'init.modle'; did you mean 'init.model'"),
        ({"model": {"image_tower": {"wdth": 3}}}, "unknown key 'model.image_tower.wdth'; did you mean"),
    ],
)
def test_a_wrong_start_is_one_sentence(start, tmp_path, change, words):
    with pytest.raises(ConfigError, match=words):
        load_run(recipe(tmp_path, start, **change))


def test_a_start_without_both_towers_says_what_to_do(start, tmp_path):
    saved = json.loads((start / "config.json").read_text(encoding="utf-8"))
    for content, words in (
        ({**saved, "image_tower": None}, r"has no image tower; name one that has both, or set init\.text instead"),
        ({**saved, "text_tower": None}, r"has no text tower; name one that has both, or set init\.image instead"),
        ({"model_type": "ernie_vil"}, r"config\.json cannot be read .*not that of a model .*ernie-vil2 convert"),
        ([], r"config\.json cannot be read .*not that of a model directory"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(content), encoding="utf-8")
        with pytest.raises(ConfigError, match=words):
            load_run(recipe(tmp_path, tmp_path))


def test_what_fails_in_measuring_at_the_end_does_not_cost_the_weights(start, tmp_path, capsys):
    config = load_run(
        recipe(
            tmp_path,
            start,
            data={
                "train": {"kind": "scenes", "size": 32, "image_size": 32, "languages": ["zh"]},
                "zero_shot": {2017: OTHER},
            },
        )
    )
    trainer = Trainer(config)
    measured = trainer.validation.end

    def failing(*arguments):
        measured(*arguments)
        raise KeyboardInterrupt

    trainer.validation.end = failing
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert load(tmp_path / "tuned" / "checkpoints" / "step-0000002") is not None
    assert "2017 " in capsys.readouterr().out.split("before -> after")[1]

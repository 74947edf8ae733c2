"""Whole runs on tiny models: they learn, tell what they do, refuse what cannot work, and leave nothing half-written."""

import json
import os
import signal

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.config.load import load_run
from ernie_vil2.config.run import RunConfig
from ernie_vil2.errors import ConfigError, DataError, UserError
from ernie_vil2.schema import as_dict, build
from ernie_vil2.training.trainer import Trainer

TOWER = {"width": 32, "depth": 1, "heads": 2, "activation": "relu", "dropout": 0.0}


def run_config(output, **changes):
    data = {
        "output": str(output),
        "model": {
            "max_length": 64,
            "pixels": {"size": 32},
            "image_tower": {**TOWER, "image_size": 32, "patch_size": 8},
            "text_tower": {**TOWER, "vocab_size": 0, "positions": 64},
        },
        "data": {
            "train": {"kind": "scenes", "size": 64, "image_size": 32, "languages": ["zh"], "cache": True},
            "valid": {"kind": "scenes", "split": "valid", "size": 20, "image_size": 32, "languages": ["zh"]},
        },
        "objective": {"pairs": [["image", "caption"], ["image", "tags"], ["caption", "caption'", 0.5]]},
        "optimizer": {"lr": 3e-3, "warmup": 2},
        "train": {"steps": 6, "batch_size": 16, "log_every": 2, "eval_every": 4},
    }
    for key, value in changes.items():
        section, _, name = key.partition("__")
        if name:
            data[section] = {**data.get(section, {}), name: value}
        else:
            data[section] = value
    return build(RunConfig, data, "test.yaml")


def records(folder, kind):
    lines = (folder / "log.jsonl").read_text().splitlines()
    return [record for record in map(json.loads, lines) if record["kind"] == kind]


def test_a_run_logs_validates_and_leaves_model_directories(tmp_path, capsys):
    config = run_config(tmp_path / "run")
    path = Trainer(config).run()
    train, valid = records(tmp_path / "run", "train"), records(tmp_path / "run", "valid")
    assert [record["step"] for record in train] == [2, 4, 6] and [record["step"] for record in valid] == [4, 6]
    wanted = {"loss", "image-caption", "image-tags", "caption-caption'", "logit_scale_mm", "logit_scale_tt", "lr"}
    assert wanted | {"grad_norm", "batch_cost", "reader_cost", "ips", "eta"} <= set(train[0])
    parts = [train[0]["image-caption"], train[0]["image-tags"], 0.5 * train[0]["caption-caption'"]]
    assert train[0]["loss"] == pytest.approx(sum(parts) / 2.5, rel=1e-4)
    assert valid[0]["source"] == "scenes:valid" and 0 <= valid[0]["t2i_r1"] <= 100
    pointer = json.loads((tmp_path / "run/checkpoints/checkpoints.json").read_text())
    assert pointer["latest"] == path.name == "step-0000006"
    assert not [entry for entry in (tmp_path / "run/checkpoints").iterdir() if "tmp" in entry.name]
    assert list((tmp_path / "run/visualdl").iterdir())
    model = ernie_vil2.load(path)
    assert model.encode_text("红色的圆").shape == (1, 32)
    assert "step 2/6: loss" in capsys.readouterr().out


def test_the_loss_of_a_few_samples_goes_down_far_below_chance(tmp_path):
    config = run_config(
        tmp_path / "run",
        train={"steps": 60, "batch_size": 16, "log_every": 5},
        data={
            "train": {"kind": "scenes", "size": 16, "image_size": 32, "languages": ["zh"], "captions": 1, "cache": True}
        },
        objective={"pairs": [["image", "caption"]]},
    )
    Trainer(config).run()
    losses = [record["loss"] for record in records(tmp_path / "run", "train")]
    assert losses[0] > 1.5 and losses[-1] < 0.3


def test_the_same_seed_gives_the_same_run_and_dropout_is_keyed(tmp_path):
    def losses(name, seed, workers):
        model = {
            "max_length": 64,
            "pixels": {"size": 32},
            "image_tower": {**TOWER, "image_size": 32, "patch_size": 8, "dropout": 0.1},
            "text_tower": {**TOWER, "vocab_size": 0, "positions": 64, "dropout": 0.1},
        }
        config = run_config(tmp_path / name, seed=seed, model=model, data__workers=workers)
        Trainer(config).run()
        return [record["loss"] for record in records(tmp_path / name, "train")]

    first = losses("a", 5, 1)
    assert first == losses("b", 5, 3)
    assert first != losses("c", 6, 1)


def test_temperatures_move_and_no_decay_touches_bias_norm_or_temperature(tmp_path):
    trainer = Trainer(run_config(tmp_path / "run", optimizer={"lr": 1e-3, "warmup": 0, "weight_decay": 100.0}))
    before = {name: value.numpy().copy() for name, value in trainer.rig.model.named_parameters()}
    rig = trainer.rig
    for parameter in rig.model.parameters():
        (parameter * 0.0).sum().backward()
    rig.gradients.collect()
    rig.optimizer.step(rig.gradients, rig.rate)
    for name, parameter in trainer.rig.model.named_parameters():
        shrunk = not np.allclose(parameter.numpy(), before[name], atol=1e-7)
        matrix = parameter.ndim >= 2
        assert shrunk == (matrix and np.abs(before[name]).max() > 0), name


def test_images_in_two_views_are_trained_with_their_own_temperature(tmp_path):
    pairs = [["image", "caption"], ["image", "image'"]]
    config = run_config(
        tmp_path / "run", data__augmentation={"flip": 0.0, "crop_scale": 0.8}, objective={"pairs": pairs}
    )
    Trainer(config).run()
    assert {"image-image'", "logit_scale_ii"} <= set(records(tmp_path / "run", "train")[0])


def test_init_takes_towers_from_model_directories(tmp_path):
    start = Trainer(run_config(tmp_path / "one")).run()
    init = {"text": str(start), "image": str(start)}
    trainer = Trainer(run_config(tmp_path / "two", seed=9, init=init))
    old, new = ernie_vil2.load(start).network.state_dict(), trainer.rig.model.state_dict()
    same = {key: np.array_equal(old[key].numpy(), new[key].numpy()) for key in old if "temperature" not in key}
    assert all(same.values())
    wider = {**run_config(tmp_path / "x").model.to_dict(), "pixels": {"size": 64}}
    wider["image_tower"] = {**wider["image_tower"], "image_size": 64}
    larger = Trainer(run_config(tmp_path / "three", init={"image": str(start), "text": str(start)}, model=wider))
    assert larger.rig.model.visual.positional_embedding.shape == [1, 65, 32]
    wider["image_tower"] = {**wider["image_tower"], "depth": 2}
    with pytest.raises(ConfigError, match="image_tower.depth is 1 in .* and 2 here; make them equal"):
        Trainer(run_config(tmp_path / "four", init={"image": str(start)}, model=wider))


@pytest.mark.parametrize(
    "changes, hint",
    [
        ({"train__precision": "bf16"}, "needs a GPU"),
        ({"train__batch_size": 100}, "lower the batch size"),
        ({"objective__pairs": [["image", "image'"]]}, "augmentation"),
        ({"data__train": {"kind": "scenes", "splitt": "train"}}, "split"),
        ({"data__train": "nowhere.jsonl"}, "nowhere.jsonl"),
        ({"data__vocab": "nowhere.txt"}, "nowhere.txt"),
    ],
)
def test_what_cannot_work_is_one_sentence_before_a_model_is_built(tmp_path, changes, hint, monkeypatch):
    monkeypatch.setattr("ernie_vil2.training.rig.start_system", lambda *_: pytest.fail("a model was built"))
    with pytest.raises(UserError) as error:
        Trainer(run_config(tmp_path / "run", **changes))
    assert hint in str(error.value) and "\n" not in str(error.value)


def test_a_folder_with_a_run_in_it_is_not_written_over(tmp_path):
    (tmp_path / "log.jsonl").write_text("{}\n")
    with pytest.raises(ConfigError, match="already holds a run"):
        Trainer(run_config(tmp_path))


def test_a_source_without_the_views_stops_with_their_names(tmp_path, random_image, tiny_vocab):
    data = {"train": jsonl_of_images(tmp_path, random_image, 16), "vocab": str(tiny_vocab)}
    with pytest.raises(DataError, match="no sample of the batch has both views.*tags"):
        Trainer(run_config(tmp_path / "run", data=data, objective={"pairs": [["image", "tags"]]})).run()


def test_overrides_reach_the_configuration_and_misspelt_ones_name_the_nearest(tmp_path):
    path = tmp_path / "x.yaml"
    path.write_text("data: {train: 'scenes:size=10'}\ntrain: {steps: 2000}\n")
    assert load_run(path, ["train.steps=5000", "optimizer.lr=1e-3"]).optimizer.lr == 1e-3
    with pytest.raises(ConfigError, match="did you mean 'train.steps'"):
        load_run(path, ["train.step=5"])
    path.write_text("data: {train: x.tsv}\nmodel: {pixels: bicubic, image_tower: {image_size: 384}}\n")
    pixels = load_run(path, ["model.pixels.size=384"]).model.pixels
    assert (pixels.size, pixels.decoder) == (384, "pil")
    whole, finite = ("data.train.kind=jsonl", "give train as a whole"), ("optimizer.lr=.inf", "optimizer.lr must be")
    for wrong, hint in (whole, finite):
        with pytest.raises(ConfigError, match=hint):
            load_run(path, ["model.pixels.size=384", wrong])
    with pytest.raises(ConfigError, match="key=value"):
        load_run(path, ["train.steps"])
    path.write_text("data: {train: [\n")
    with pytest.raises(ConfigError, match="line 2"):
        load_run(path)


def jsonl_of_images(folder, random_image, count, broken=()):
    """A captions file with `count` images, some of which are no images."""
    from PIL import Image

    rows = []
    for index in range(count):
        if index in broken:
            (folder / f"{index}.png").write_bytes(b"not an image")
        else:
            Image.fromarray(random_image(32, 32, index)).save(folder / f"{index}.png")
        rows.append(json.dumps({"image": f"{index}.png", "texts": ["一只猫", f"{index} 只猫"]}, ensure_ascii=False))
    (folder / "data.jsonl").write_text("\n".join(rows), encoding="utf-8")
    return str(folder / "data.jsonl")


def test_a_broken_image_is_listed_and_the_run_goes_on(tmp_path, random_image, tiny_vocab):
    path = jsonl_of_images(tmp_path, random_image, 12, broken=[5])
    data = {"train": path, "vocab": str(tiny_vocab)}
    config = run_config(
        tmp_path / "run",
        data=data,
        objective={"pairs": [["image", "caption"]]},
        train={"steps": 3, "batch_size": 12},
        optimizer={"warmup": 0},
    )
    Trainer(config).run()
    assert "data.jsonl:6" in (tmp_path / "run/bad.txt").read_text(encoding="utf-8")


def test_a_loss_that_is_no_number_stops_the_run_and_names_the_samples(tmp_path):
    trainer = Trainer(run_config(tmp_path / "run"))
    weight = trainer.rig.model.visual.norm_post.weight
    weight.set_value(np.full(weight.shape, np.nan, np.float32))
    told = "step 1: the loss is nan; .*stopped-step-0000001.json names the rows.* lower optimizer.lr"
    with pytest.raises(UserError, match=told):
        trainer.run()
    assert not (tmp_path / "run/checkpoints").exists()


@pytest.mark.parametrize(
    ("keep", "left"), [(1, [2, 5]), (2, [2, 4, 5]), (3, [2, 3, 4, 5]), (4, [2, 3, 4, 5]), (9, [1, 2, 3, 4, 5])]
)
def test_old_checkpoints_go_but_the_best_stays(tmp_path, keep, left):
    from ernie_vil2.training.distributed import Ranks
    from ernie_vil2.training.rig import arrays_of
    from ernie_vil2.training.run_checkpoints import Checkpoints

    trainer = Trainer(run_config(tmp_path / "run"))
    vocab = (tmp_path / "run/vocab.txt").read_bytes()
    checkpoints = Checkpoints(tmp_path / "kept", Ranks(), keep, vocab)
    for step, score in ((1, 10.0), (2, 30.0), (3, 20.0), (4, 5.0), (5, 6.0)):
        (tmp_path / "kept/step-0000099").mkdir(parents=True, exist_ok=True)  # as a kill within a removal leaves it
        checkpoints.save({"step": step}, arrays_of(trainer.rig.model), trainer.config.model, {}, {})
        checkpoints.score(step, score, {"mean_recall": score})
    assert sorted(path.name for path in (tmp_path / "kept").glob("step-*")) == [f"step-{step:07d}" for step in left]
    assert json.loads((tmp_path / "kept/checkpoints.json").read_text())["best"] == "step-0000002"


def test_one_broken_validation_image_does_not_end_the_run(tmp_path, random_image, tiny_vocab):
    path = jsonl_of_images(tmp_path, random_image, 12, broken=[5])
    data = {"train": path, "valid": path, "vocab": str(tiny_vocab), "max_bad": 1.0}
    pairs, train = {"pairs": [["image", "caption"]]}, {"steps": 2, "batch_size": 6}
    assert Trainer(run_config(tmp_path / "run", data=data, objective=pairs, train=train, optimizer={"warmup": 0})).run()
    assert len(records(tmp_path / "run", "valid")) == 1


def test_weights_that_are_no_numbers_are_not_saved(tmp_path):
    trainer = Trainer(run_config(tmp_path / "run", train__steps=1, optimizer={"warmup": 0}))
    bias = trainer.rig.model.visual.norm_post.bias
    trainer.rig.optimizer.step = lambda *_: bias.set_value(np.full(bias.shape, np.inf, np.float32))
    with pytest.raises(UserError, match="step 1: visual.norm_post.bias is no longer finite"):
        trainer.run()
    assert not (tmp_path / "run/checkpoints").exists()


def test_speed_in_the_log_leaves_out_the_validation(tmp_path, monkeypatch):
    import time

    train = {"steps": 8, "batch_size": 16, "log_every": 4, "eval_every": 2}
    trainer = Trainer(run_config(tmp_path / "run", train=train))
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    monkeypatch.setattr(trainer, "evaluate", lambda *_: now.__setitem__(0, now[0] + 100.0))
    original = trainer.rig.step
    monkeypatch.setattr(trainer.rig, "step", lambda *a: (now.__setitem__(0, now[0] + 2.0), original(*a))[1])
    trainer.run()
    assert [record["batch_cost"] for record in records(tmp_path / "run", "train")] == pytest.approx([2.0, 2.0])


def test_init_refuses_weights_that_mean_something_else(tmp_path, tiny_vocab):
    start = str(Trainer(run_config(tmp_path / "one")).run())
    model = run_config(tmp_path / "x").model.to_dict()
    model["text_tower"] = {**model["text_tower"], "activation": "gelu"}
    with pytest.raises(ConfigError, match="text_tower.activation is relu in .* and gelu here"):
        Trainer(run_config(tmp_path / "two", init={"text": start}, model=model))
    with pytest.raises(ConfigError, match="the vocabulary is .* and another one here"):
        Trainer(run_config(tmp_path / "three", init={"text": start}, data__vocab=str(tiny_vocab)))


def test_a_signal_within_a_step_saves_after_that_step(tmp_path):
    trainer = Trainer(run_config(tmp_path / "run", train={"steps": 5, "batch_size": 16}, optimizer={"warmup": 0}))
    original, calls = trainer.rig.gradient_step, []

    def interrupted(*arguments):
        calls.append(1)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
        return original(*arguments)

    interrupted.close, interrupted.embeds = original.close, {}
    trainer.rig.gradient_step = interrupted
    assert trainer.run().name == "step-0000002" and trainer.stopped and len(calls) == 2


def test_the_callers_configuration_stays_as_it_is(tmp_path):
    config = run_config(tmp_path / "run", train={"steps": 1, "batch_size": 16}, optimizer={"warmup": 0})
    before = as_dict(config)
    trainer = Trainer(config)
    assert (
        as_dict(config) == before and trainer.config.model.text_tower.vocab_size != config.model.text_tower.vocab_size
    )
    trainer.close()

"""What the doctor says of runs that are right and of runs that are not."""

import copy
import math
from types import SimpleNamespace

import numpy as np
import pytest

from ernie_vil2.config.run import ObjectiveConfig, RunConfig
from ernie_vil2.data.sources.base import Sample, Source
from ernie_vil2.data.tokenizer import Tokenizer
from ernie_vil2.device import Device
from ernie_vil2.errors import ConfigError, DataError, UserError
from ernie_vil2.schema import as_dict, build
from ernie_vil2.training.doctor import doctor, trial
from ernie_vil2.training.doctor.doctor import Line, diagnose, failed, report
from ernie_vil2.training.doctor.trial import Learning, Loading
from ernie_vil2.training.rig import Rig

TOWER = {"width": 32, "depth": 1, "heads": 2, "activation": "relu", "dropout": 0.0}


def run_config(output, train=None, **sections):
    data = {
        "output": str(output),
        "model": {
            "max_length": 64,
            "pixels": {"size": 32},
            "image_tower": {**TOWER, "image_size": 32, "patch_size": 8},
            "text_tower": {**TOWER, "vocab_size": 0, "positions": 64},
        },
        "data": {"train": {"kind": "scenes", "size": 64, "image_size": 32, "languages": ["zh"]}, "workers": 1},
        "objective": {"pairs": [["image", "caption"], ["image", "tags"], ["caption", "caption'", 0.5]]},
        "optimizer": {"lr": 3e-3, "warmup": 20},
        "train": {"steps": 600, "batch_size": 16, **(train or {})},
    }
    for name, section in sections.items():
        data[name] = {**data.get(name, {}), **section}
    return build(RunConfig, data, "test.yaml")


def test_a_run_that_is_right_gets_five_good_lines_and_leaves_no_trace(tmp_path, monkeypatch):
    monkeypatch.setenv("PADDLE_TRAINERS_NUM", "2")  # what a launcher left: the doctor tries in this process alone
    monkeypatch.chdir(tmp_path)
    config = run_config(tmp_path / "run", data={"workers": 1000})  # none are started; enough for any machine
    before = copy.deepcopy(as_dict(config))
    lines = diagnose(config)
    assert [line.subject for line in lines] == ["data", "first loss", "one batch", "loader", "cost"]
    assert all(line.ok for line in lines), report(lines)
    assert not failed(lines) and len(report(lines).splitlines()) == 5
    assert f"ln(B) = {math.log(16):.3f}" in lines[1].text
    assert as_dict(config) == before and not list(tmp_path.iterdir())


@pytest.mark.parametrize("rate, hint", [(1e-8, "raise optimizer.lr"), (1.0, "lower optimizer.lr")])
def test_a_wrong_learning_rate_is_told_which_way(tmp_path, monkeypatch, rate, hint):
    monkeypatch.setattr(trial, "STEPS", 20)
    lines = diagnose(run_config(tmp_path / "run", optimizer={"lr": rate}))
    assert not lines[2].ok and hint in lines[2].text and failed(lines)
    assert [line.ok for line in lines[:2]] == [True, True]


class Rows(Source):
    """100 rows of one text and one image, of which every fifth is broken."""

    name = "rows"

    def __len__(self):
        return 100

    def load(self, index):
        if index % 5 == 0:
            raise DataError(f"rows:{index + 1}: the image is torn; fetch it again")
        return Sample(str(index), np.full((8, 8, 3), 9, np.uint8), ("红 " * 9,), (), f"rows:{index + 1}")


def test_bad_rows_repeated_pairs_cut_texts_and_a_large_batch_are_told(tmp_path):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\n[UNK]\n红\n", encoding="utf-8")
    maker = SimpleNamespace(tokenizer=Tokenizer(tmp_path / "vocab.txt", 8))
    line = doctor.data_line(SimpleNamespace(source=Rows(), maker=maker), run_config(tmp_path, {"batch_size": 512}))
    assert not line.ok
    for words in (
        "20.0 % are bad",
        "fetch it again",
        "100.0 % of the texts are cut",
        "raise model.max_length",
        "fewer samples than train.batch_size 512",
        "remove repeated pairs",
        "1 images have several ids",
    ):
        assert words in line.text, words


def test_what_cannot_work_at_all_is_the_trainers_own_error(tmp_path):
    with pytest.raises(ConfigError):
        diagnose(run_config(tmp_path / "run", init={"text": str(tmp_path / "none")}, data={"vocab": None}))


class Batch(SimpleNamespace):
    def __len__(self):
        return len(self.image_ids)


def learning_of(pairs, **fields):
    rig = SimpleNamespace(system=SimpleNamespace(loss_factor=fields.pop("factor", 1.0)))
    trainer = SimpleNamespace(config=SimpleNamespace(objective=ObjectiveConfig(pairs=pairs)), rig=rig)
    return Learning(trainer, Batch(**fields))


def test_the_expected_loss_knows_missing_views_and_several_positives():
    learning = learning_of(
        [["image", "caption", 3.0], ["image", "tags", 1.0]],
        image_ids=np.array([1, 1, 2, 3]),
        text_ids={"caption": np.arange(4), "tags": np.array([7, 8, 8, 9])},
        present={"tags": np.array([True, True, False, False])},
    )
    guess, least = learning.expected()
    assert guess == pytest.approx((3 * math.log(4) + math.log(2)) / 4)
    assert least == pytest.approx((3 * (2 * math.log(2) / 4) + math.log(2)) / 4)


def stub(rate, batch=16, **fields):
    """A Learning of which the speed is given."""
    rig = SimpleNamespace(parameter_count=100, system=SimpleNamespace(views=("image", "caption")))
    return SimpleNamespace(rate=rate, batch=[0] * batch, trainer=SimpleNamespace(rig=rig), **fields)


@pytest.mark.parametrize(
    "step, load, workers, ok, words",
    [
        (100, 60, 2, True, "pictures are ready before"),
        (100, 60, 1, False, "set data.workers: 2"),
        (1000, 60, 4, False, "here are 4 cores"),
        (10, 1000, 0, True, "cost little"),
        (100, 500, 0, False, "set data.workers: 1"),
    ],
)
def test_who_waits_for_whom(tmp_path, monkeypatch, step, load, workers, ok, words):
    monkeypatch.setattr(doctor, "cpu_count", lambda: 4)
    line = doctor.loader_line(Loading(None, load), stub(step), run_config(tmp_path, data={"workers": workers}))
    assert line.ok == ok and words in line.text


def test_memory_and_time_are_scaled_to_the_whole_run(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "memory", lambda: {"memory_mb": 900.0, "memory_peak_mb": 1000.0})
    monkeypatch.setattr(Device, "memory_total", lambda self: 2000.0)
    before = {"memory_mb": 200.0, "memory_peak_mb": 300.0}
    small = run_config(tmp_path, {"batch_size": 32, "steps": 900})
    line = doctor.cost_line(Loading(None, 80.0), stub(10.0), small, before, doctor.memory())
    assert line.ok and "1,800 MB of 2,000 MB" in line.text and "0:48:00" in line.text
    large = run_config(tmp_path, {"batch_size": 320, "steps": 900})
    line = doctor.cost_line(Loading(None, 5.0), stub(10.0), large, before, doctor.memory())
    assert not line.ok and "set train.micro_batch: 28" in line.text and "16:00:00" in line.text
    large.train.micro_batch = 28
    assert doctor.cost_line(Loading(None, 5.0), stub(10.0), large, before, doctor.memory()).ok


@pytest.mark.parametrize("size, momentum", [(8, 0.9), (9600, 0.999)])
def test_a_right_run_with_a_queue_is_judged_by_its_batch(tmp_path, size, momentum):
    """Keys that hardly move, and random vectors as negatives, would make a first loss beyond chance and a slow fall."""
    negatives = {"kind": "queue", "size": size, "momentum": momentum}
    config = run_config(tmp_path / "run", data={"workers": 1000}, objective={"negatives": negatives})
    lines = diagnose(config)
    assert all(line.ok for line in lines), report(lines)
    assert f"ln(B) = {math.log(16):.3f}" in lines[1].text and "keys apart" in lines[4].text
    assert as_dict(config.objective)["negatives"]["kind"] == "queue"


def test_a_wrong_rate_of_a_run_with_a_queue_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "STEPS", 20)
    queue = {"negatives": {"kind": "queue", "size": 64}}
    lines = diagnose(run_config(tmp_path / "run", optimizer={"lr": 1e-8}, objective=queue))
    assert lines[1].ok and not lines[2].ok and "raise optimizer.lr" in lines[2].text


def test_the_copy_and_the_queue_take_memory(tmp_path, monkeypatch):
    monkeypatch.setattr(doctor, "memory", lambda: {"memory_mb": 900.0, "memory_peak_mb": 1000.0})
    monkeypatch.setattr(Device, "memory_total", lambda self: 2000.0)
    before = {"memory_mb": 200.0, "memory_peak_mb": 300.0}
    queue = {"negatives": {"kind": "queue", "size": 2**20}}
    line = doctor.cost_line(
        Loading(None, 80.0), stub(10.0), run_config(tmp_path, objective=queue), before, doctor.memory()
    )
    assert "about 1,256 MB" in line.text, "two views of 2**20 keys of 32 values are 256 MiB more"
    wider = run_config(tmp_path, objective=queue, model={"settings": {"embed_dim": 64}})
    assert "about 1,512 MB" in doctor.cost_line(Loading(None, 80.0), stub(10.0), wider, before, doctor.memory()).text


@pytest.mark.parametrize("kind", ["gpu", "xpu", "npu"])
def test_what_must_fit_on_a_card_is_the_cards_memory(tmp_path, monkeypatch, kind):
    host, now = {"memory_mb": 9e6, "memory_peak_mb": 9e6}, {f"{kind}_memory_mb": 0.0, f"{kind}_memory_peak_mb": 1000.0}
    monkeypatch.setattr(doctor, "memory", lambda: {**host, **now})
    monkeypatch.setattr(doctor, "current_device", lambda: Device(kind))
    monkeypatch.setattr(Device, "memory_total", lambda self: 2000.0)
    before = {**host, f"{kind}_memory_mb": 200.0, f"{kind}_memory_peak_mb": 200.0}
    line = doctor.cost_line(
        Loading(None, 80.0), stub(10.0), run_config(tmp_path, {"batch_size": 32}), before, doctor.memory()
    )
    assert line.ok and "1,800 MB of 2,000 MB" in line.text


@pytest.mark.parametrize("kind, pairs", [("cpu", 32), ("gpu", 256), ("xpu", 256)])
def test_a_card_is_tried_with_more_pairs(tmp_path, monkeypatch, kind, pairs):
    monkeypatch.setattr(trial, "current_device", lambda: Device(kind))
    config = run_config(tmp_path, {"batch_size": 4096})
    assert trial.trial(config, tmp_path).train.batch_size == pairs and config.train.batch_size == 4096


def test_a_first_loss_beyond_chance_or_known_too_early_is_bad(tmp_path):
    def line(value, factor=1.0, **changes):
        config = run_config(tmp_path, objective={"pairs": [["image", "caption"]]})
        for name, change in changes.items():
            setattr(config, name, change)
        learning = learning_of(
            [["image", "caption"]],
            factor=factor,
            image_ids=np.arange(16),
            text_ids={"caption": np.arange(16)},
            present={},
        )
        learning.losses, learning.first = [value], {"image-caption": value}
        return doctor.first_loss_line(SimpleNamespace(config=config), learning)

    assert line(2.8).ok and line(2.3).ok
    assert "by chance" in line(6.0).text and not line(6.0).ok and not line(math.nan).ok
    assert "leak" in line(0.5).text and not line(0.5).ok
    assert line(0.5, init=SimpleNamespace(text="model", image=None)).ok
    assert line(6.0, 2.0).ok and "2 x ln(B) = 5.545" in line(6.0, 2.0).text, "a system that sums both directions"
    assert not line(7.0, 2.0).ok and "leak" in line(2.3, 2.0).text


def test_a_slow_machine_is_not_blamed_on_the_learning_rate(tmp_path, monkeypatch):
    monkeypatch.setattr(trial, "PATIENCE", 0.0)
    lines = diagnose(run_config(tmp_path / "run", optimizer={"lr": 1e-8}))
    assert lines[2].ok and "too few steps" in lines[2].text


def test_a_stop_in_the_middle_is_told(tmp_path, monkeypatch):
    def step(self, batch, number):
        raise UserError("step 1: the loss is nan; lower optimizer.lr")

    monkeypatch.setattr(Rig, "step", step)
    lines = diagnose(run_config(tmp_path / "run"))
    assert not lines[1].ok and not lines[2].ok and "loss is nan" in lines[2].text and len(lines) == 5


def test_lines_say_at_once_whether_they_are_good():
    lines = [Line("data", True, "fine"), Line("cost", False, "too much")]
    assert report(lines) == "ok  data: fine\nBAD cost: too much" and failed(lines) == 1


class Few(Rows):
    """`count` rows, of which the first `bad` are bad."""

    def __init__(self, count, bad):
        self.count, self.bad = count, bad

    def __len__(self):
        return self.count

    def load(self, index):
        if index % self.count < self.bad:
            raise DataError(f"rows:{index + 1}: the image is torn; fetch it again")
        return Sample(str(index), np.full((8, 8, 3), index % 256, np.uint8), (f"红{index}",), (), f"rows:{index + 1}")


@pytest.mark.parametrize("count, bad, refused", [(501, 8, False), (501, 10, True), (512, 5, False)])
def test_the_doctor_refuses_as_many_bad_rows_as_the_run_does(tmp_path, count, bad, refused):
    (tmp_path / "vocab.txt").write_text("[PAD]\n[CLS]\n[SEP]\n[UNK]\n红\n", encoding="utf-8")
    maker = SimpleNamespace(tokenizer=Tokenizer(tmp_path / "vocab.txt", 64))
    line = doctor.data_line(SimpleNamespace(source=Few(count, bad), maker=maker), run_config(tmp_path))
    assert ("more are bad than data.max_bad allows" in line.text) is refused

"""What the doctor says before it begins, of learning rates beside the run's own, and of a locked image tower."""

import re
from types import SimpleNamespace

import numpy as np
import pytest

from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.training.doctor import doctor, rates, saving, trial
from ernie_vil2.training.doctor.doctor import diagnose
from ernie_vil2.training.doctor.saving import Saving
from ernie_vil2.training.doctor.trial import Loading
from ernie_vil2.training.rig import Rig
from tests.training.doctor.test_doctor import learning_of, run_config

LOCKED = {"freeze": [{"match": r"visual\..*"}]}


@pytest.fixture(autouse=True)
def few_steps(monkeypatch):
    monkeypatch.setattr(trial, "STEPS", 20)
    monkeypatch.setattr(trial, "LOADER_SECONDS", 0.2)


def test_it_says_how_long_it_takes_and_in_how_many_steps_it_learnt(tmp_path):
    said = []
    lines = diagnose(run_config(tmp_path / "run"), said.append)
    assert len(said) == 2 and "up to 20 steps" in said[0] and re.match(r"about \d:\d\d:\d\d .* more", said[1])
    steps = int(re.search(r"learnt of it took (\d+):", lines[2].text).group(1))
    assert lines[2].ok and 2 <= steps <= 20 and "at lr 0.003" in lines[2].text and "instead of" not in lines[4].text


def test_a_rate_that_is_too_low_gets_one_that_learns_the_same_batch(tmp_path):
    said = []
    line = diagnose(run_config(tmp_path / "run", optimizer={"lr": 3e-5}), said.append)[2]
    assert not line.ok and "raise optimizer.lr, to 0.0009 for example, which learnt it in" in line.text
    assert any("two other rates" in text for text in said)


def test_where_no_other_rate_learns_it_says_what_was_tried(tmp_path):
    line = diagnose(run_config(tmp_path / "run", optimizer={"lr": 1e-8}))[2]
    assert not line.ok and "further than to 3e-08 and 3e-07, which did not learn it either" in line.text


def test_a_rate_beyond_the_highest_or_the_runs_own_is_not_tried(tmp_path, monkeypatch):
    monkeypatch.setattr(rates, "Trainer", lambda *given, **named: SimpleNamespace(close=lambda: None))
    found = SimpleNamespace(run=lambda seconds: None, error=None, leapt=lambda: False, learnt=lambda: None)
    monkeypatch.setattr(rates, "Learning", lambda *given: found)
    for rate, expected in ((1.0, []), (0.5, [1.0]), (0.1, [0.3, 1.0])):
        config = run_config(tmp_path / "run", optimizer={"lr": rate})
        tried = rates.try_rates(config, SimpleNamespace(batch=None), tmp_path, rates.HIGHER, 1.0)
        assert [rate for rate, _ in tried] == expected


def test_memory_is_that_of_the_runs_own_steps(tmp_path, monkeypatch):
    asked, memory = [], doctor.memory
    monkeypatch.setattr(doctor, "memory", lambda: asked.append("memory") or memory())
    monkeypatch.setattr(doctor, "other_rates", lambda *given: asked.append("rates") or [])
    diagnose(run_config(tmp_path / "run"))
    assert asked == ["memory", "memory", "rates"]


def test_a_loss_below_zero_is_learnt_when_it_falls_by_a_quarter_and_leapt_over_when_it_rises():
    learning = learning_of(
        [["image", "caption"]], image_ids=np.arange(4), text_ids={"caption": np.arange(4)}, present={}
    )
    learning.trainer.config.objective.loss = "own"
    for losses, learnt, leapt in (
        ([-0.4] * 4, None, False),
        ([-0.4, -0.6, -0.7], 2, False),
        ([-0.4, -0.3], None, True),
    ):
        learning.losses = losses
        assert (learning.learnt(), learning.leapt()) == (learnt, leapt)


def test_steps_with_kept_embeddings_that_go_wrong_are_not_told_of(tmp_path, monkeypatch):
    step = Rig.step

    def failing(self, batch, number, *given):
        if batch.embeds:
            raise UserError("the loss is nan")
        return step(self, batch, number, *given)

    monkeypatch.setattr(Rig, "step", failing)
    lines = diagnose(run_config(tmp_path / "run", objective={"pairs": [["image", "caption"]]}, optimizer=LOCKED))
    assert len(lines) == 5 and "cache_locked" not in lines[4].text


def test_a_locked_tower_is_told_what_it_saves_and_how(tmp_path):
    for cached, words in ((False, "with -o data.cache_locked=true"), (True, "with it, as configured")):
        config = run_config(
            tmp_path / "run",
            data={"cache_locked": cached},
            objective={"pairs": [["image", "caption"]]},
            optimizer=LOCKED,
        )
        lines = diagnose(config)
        assert words in lines[4].text and "pairs/s" in lines[4].text
        assert ("not decoded" in lines[3].text) == cached
    assert not list(tmp_path.iterdir())


def test_a_tower_that_learns_is_refused_as_training_refuses_it(tmp_path):
    with pytest.raises(ConfigError, match="data.cache_locked"):
        diagnose(run_config(tmp_path / "run", data={"cache_locked": True}))


def test_a_run_pays_for_every_image_once(tmp_path, monkeypatch):
    monkeypatch.setattr(saving, "thread_count", lambda: 2)
    config = run_config(tmp_path, {"batch_size": 10, "steps": 100})
    assert Saving(100.0, 5.0).seconds(config, 200, Loading(None, 50.0)) == 1000 / 100 + 200 / 5 + 200 / (2 * 50)
    assert Saving(100.0, 5.0).seconds(config, 10**9, Loading(None, 50.0)) == 1000 / 100 + 1000 / 5 + 1000 / (2 * 50)

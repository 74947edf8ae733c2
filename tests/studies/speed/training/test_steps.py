"""The step that is measured is the trainer's own, with what the loop does around it and its share of the log."""

import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from ernie_vil2.studies.operations import view_flops
from ernie_vil2.studies.speed import step_parts
from ernie_vil2.studies.speed.step_parts import FIGURES, LOG, StepClock, parts_timed
from ernie_vil2.studies.speed.training import steps as steps_module
from ernie_vil2.studies.speed.training.steps import TrainerSteps, throughput
from ernie_vil2.training import loop, rig
from ernie_vil2.training.log.run_log import RunLog
from ernie_vil2.training.loop import Walk
from ernie_vil2.training.trainer import Trainer
from tests.training.runs import write_config

LENGTH = 8


def calls_of(run):
    """Parts of a step that nothing of it is left out of: what the loop calls, and what the rig does."""
    return [
        ("next batch", Walk, "fetch"),
        ("after it", Walk, "heed"),
        ("bar", RunLog, "advance"),
        (LOG, RunLog, "step"),
        ("memory", loop, "memory"),
        ("guard", run.guard, "check"),
        ("diagnostics", rig, "told"),
        ("after step", run.system, "after_step"),
        ("freeze", run.freezer, "apply"),
    ]


def parts_of(clock):
    """{shown or not: the parts that such steps had}."""
    found = {}
    for step in clock.steps:
        found.setdefault(LOG in step, set()).add(frozenset(step))
    return found


def test_the_measured_step_has_every_part_of_the_trainers(tmp_path, monkeypatch):
    path = write_config(tmp_path, train__log_every=2, train__save_every=0, train__steps=5, data__workers=0)
    config, clock, walked = load_run(path), StepClock(), Walk.step
    trainer = Trainer(config)
    monkeypatch.setattr(Walk, "step", lambda walk: clock.step(lambda: walked(walk)))
    with parts_timed(trainer.rig, clock, *calls_of(trainer.rig)):
        trainer.run()
    monkeypatch.setattr(Walk, "step", walked)
    clock.steps.pop()  # the last one fetches no batch
    measured = TrainerSteps(config, config.train.batch_size, LENGTH, tmp_path)
    monkeypatch.setattr(measured, "clock", StepClock())
    monkeypatch.setattr(steps_module, "parts_timed", lambda run, clock, _: parts_timed(run, clock, *calls_of(run)))
    measured.take(4)
    measured.close()
    theirs, ours = parts_of(clock), parts_of(measured.clock)
    assert set(theirs) == {True, False} and theirs == ours
    for shown, (parts,) in ours.items():
        assert parts >= {"gradients", "AdamW", "EMA", "next batch", "guard", "after step", "norm and read"}
        assert ({FIGURES, "memory", "diagnostics"} <= parts) == shown


def test_steps_that_show_nothing_bear_their_part_of_the_log(tmp_path, monkeypatch):
    path = write_config(tmp_path, train__log_every=4)
    measured = TrainerSteps(load_run(path), 4, LENGTH, tmp_path)
    assert {FIGURES, LOG} <= set(measured.shown)
    measured.shown = {FIGURES: 2.0, LOG: 1.0, "step": 9.0}
    plain, shown = measured.spread([{"rest": 5.0, "step": 5.0}, {"rest": 5.0, FIGURES: 3.0, LOG: 0.5, "step": 8.5}])
    measured.close()
    assert plain == shown == {"rest": 5.0, FIGURES: 0.5, LOG: 0.25, "step": 5.75}


def test_a_shown_step_is_among_those_that_warm_up_and_none_is_the_last(tmp_path):
    config = load_run(write_config(tmp_path, train__log_every=3, train__steps=4, train__eval_every=1))
    measured = TrainerSteps(config, 4, LENGTH, tmp_path)
    found = measured.take(4)
    measured.close()
    assert [FIGURES in step for step in found] == [False, False, True, False] and measured.rig.done == 7
    assert config.train.steps == 4 and not (tmp_path / "run" / "checkpoints").exists()


def test_throughput_counts_every_view_at_the_length_it_has(tmp_path, monkeypatch):
    config = load_run(write_config(tmp_path, objective={"pairs": [["image", "caption"]]}, model__text_tower=TEXT))
    other = load_run(
        write_config(tmp_path, objective={"pairs": [["image", "caption"], ["caption", "tags"]]}, model__text_tower=TEXT)
    )
    one, two, longer = throughput(config, 4, 1, 8), throughput(other, 4, 1, 8), throughput(config, 4, 1, 16)
    per_pair = [1e12 * found["tflops"] / found["pairs_per_second"] for found in (one, two, longer)]
    image, text = view_flops(config.model, 8)
    assert per_pair[0] == pytest.approx(3 * (image + text))
    assert per_pair[1] - per_pair[0] == pytest.approx(3 * text)
    assert per_pair[2] == pytest.approx(3 * (image + view_flops(config.model, 16)[1]))


TEXT = {"width": 32, "depth": 1, "heads": 2, "vocab_size": 50, "positions": 64, "dropout": 0.1}


def test_a_precision_that_would_silently_be_another_is_refused(tmp_path):
    config = load_run(write_config(tmp_path, train__precision="bf16"))
    with pytest.raises(ConfigError, match="train.precision bf16 needs a GPU.*set train.precision: fp32"):
        throughput(config, 4, 1)


def test_the_clock_counts_what_it_is_given():
    now = iter([0.0, 3.0, 4.0, 10.0])
    clock = StepClock(lambda: next(now))
    clock.step(clock.timed("part", lambda: None))
    assert clock.medians() == {"part": 1.0, step_parts.REST: 9.0, "step": 10.0}

"""Weights are kept: around a save, at odd ends of a run, and in a folder that others write in, too."""

import json
import os
import shutil
import signal

import pytest

from ernie_vil2.errors import ConfigError
from ernie_vil2.files.run_folder import alone_in
from ernie_vil2.stop import StopRequest
from ernie_vil2.training.trainer import Trainer

from .test_trainer import records
from .test_weights_first import after, config, failing, latest, table  # noqa: F401 a fixture


def test_a_diagnostic_that_fails_ends_nothing_and_saves_no_step_twice(tmp_path, table, monkeypatch):  # noqa: F811
    trainer = Trainer(config(tmp_path, table))
    monkeypatch.setattr(trainer.rig.updates, "after", failing)
    monkeypatch.setattr("ernie_vil2.training.diagnostics.similarities", failing)
    assert trainer.run().name == "step-0000004" and len(records(tmp_path / "run", "train")) == 4


def test_statistics_of_a_step_that_failed_are_not_saved(tmp_path, table, monkeypatch):  # noqa: F811
    trainer = Trainer(config(tmp_path, table))
    trainer.rig.moving = True  # as with learning batch statistics
    monkeypatch.setattr(trainer.rig.guard, "check", failing)
    with pytest.raises(ValueError):
        trainer.run()
    assert trainer.rig.updating and not (tmp_path / "run/checkpoints").exists()


def test_bad_rows_that_cannot_be_listed_end_no_run(tmp_path, table, capsys):  # noqa: F811
    (tmp_path / "5.png").write_bytes(b"no image")
    (tmp_path / "run/bad.txt").mkdir(parents=True)
    assert Trainer(config(tmp_path, table)).run().name == "step-0000004"
    assert "1 of 12 rows are bad" in (text := capsys.readouterr().out) and "some could not be listed" in text


def test_a_run_of_another_folder_resumed_here_keeps_what_it_saves(tmp_path, table):  # noqa: F811
    (tmp_path / "there").mkdir()
    shutil.copyfile(tmp_path / "vocab.txt", tmp_path / "there/vocab.txt")
    start = Trainer(config(tmp_path / "there", table, train={"steps": 2})).run()
    Trainer(config(tmp_path, table, train={"steps": 6, "save_every": 1, "keep": 2})).run()
    path = Trainer(config(tmp_path, table, train={"steps": 4, "keep": 2}), str(start)).run()
    assert path.name == latest(tmp_path) == "step-0000004" or path.is_dir()
    names = sorted(one.name for one in (tmp_path / "run/checkpoints").glob("step-*"))
    assert names == ["step-0000004", "step-0000005.abandoned", "step-0000006.abandoned"]
    pointer = json.loads((tmp_path / "run/checkpoints/checkpoints.json").read_text())
    assert pointer == {"latest": "step-0000004", "best": None}


def test_what_a_kill_left_goes_and_what_a_person_or_another_host_keeps_stays(tmp_path, table, capsys):  # noqa: F811
    saved = Trainer(config(tmp_path, table)).run()
    saves = saved.parent
    shutil.copytree(saved, saves / "step-0000004-good")
    (saves / "step-0000003.tmp").mkdir()
    (saves / "step-0000002.replaced-77-elsewhere_1").mkdir()
    (saves / "checkpoints.json.tmp-4194304").write_text("{")
    (tmp_path / "run/log.jsonl.tmp-4194304").write_text("{")
    capsys.readouterr()
    Trainer(config(tmp_path, table, train={"steps": 5}), "auto").run()
    told = capsys.readouterr().out
    for gone in ("step-0000003.tmp", "checkpoints.json.tmp-4194304", "log.jsonl.tmp-4194304"):
        assert f"{gone}, left by a" in told
    names = {one.name for one in saves.iterdir()}
    assert {"step-0000004-good", "step-0000002.replaced-77-elsewhere_1"} < names
    assert not [name for name in names if ".tmp" in name]


def test_a_save_that_was_killed_just_before_its_rename_is_made_again(tmp_path, table, capsys):  # noqa: F811
    saved = Trainer(config(tmp_path, table)).run()
    shutil.copytree(saved, saved.parent / "step-0000005.tmp")  # whole, with its state.json
    path = Trainer(config(tmp_path, table, train={"steps": 5}), "auto").run()
    assert path.name == "step-0000005" and json.loads((path / "state.json").read_text())["step"] == 5
    assert "step-0000005.tmp, left by a run that was killed" in capsys.readouterr().out


def test_a_pointer_or_a_removal_that_is_refused_ends_no_run(tmp_path, table, monkeypatch, capsys):  # noqa: F811
    from ernie_vil2.training import run_checkpoints

    def refused(*arguments):
        raise PermissionError(13, "Permission denied")

    trainer = Trainer(config(tmp_path, table, train={"save_every": 1, "keep": 1}))
    monkeypatch.setattr(run_checkpoints, "prune_folder", refused)
    assert trainer.run().name == latest(tmp_path) == "step-0000004"
    assert "step-0000004 is whole, but what is older could not follow: PermissionError" in capsys.readouterr().out


def test_ctrl_c_saves_where_nobody_reads_its_sentence(tmp_path, table, monkeypatch):  # noqa: F811
    class Gone:
        def fileno(self):
            raise BrokenPipeError

    monkeypatch.setattr("sys.__stderr__", Gone())
    trainer = Trainer(config(tmp_path, table))
    after(trainer, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert trainer.run().name == "step-0000002" and trainer.status == 130


def test_a_closed_terminal_saves(tmp_path, table, monkeypatch):  # noqa: F811
    trainer = Trainer(config(tmp_path, table))
    after(trainer, 2, lambda: os.kill(os.getpid(), signal.SIGHUP))
    monkeypatch.setattr("sys.stdout", None)
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)  # a suite under nohup ignores it
    try:
        assert trainer.run().name == "step-0000002" and trainer.stopped
    finally:
        signal.signal(signal.SIGHUP, before)


def test_signals_that_are_ignored_stay_ignored():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with StopRequest() as stop:
            os.kill(os.getpid(), signal.SIGINT)
        assert not stop.asked
    finally:
        signal.signal(signal.SIGINT, before)


def test_a_second_ctrl_c_that_comes_out_as_another_error_ends_the_run_at_once_and_unsaved(
    tmp_path,
    table,  # noqa: F811
    monkeypatch,
):
    trainer = Trainer(config(tmp_path, table, train={"steps": 9, "save_every": 9}))
    check = trainer.rig.guard.check

    def in_a_library(step, *arguments, **named):
        if step == 2:
            try:
                for _ in range(2):
                    os.kill(os.getpid(), signal.SIGINT)
            except KeyboardInterrupt as stop:
                raise OSError("(External) KeyboardInterrupt: <EMPTY MESSAGE>") from stop
        return check(step, *arguments, **named)

    monkeypatch.setattr(trainer.rig.guard, "check", in_a_library)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    assert not list((tmp_path / "run").glob("checkpoints/step-*"))


def test_two_processes_do_not_train_in_one_folder(tmp_path, table):  # noqa: F811
    trainer = Trainer(config(tmp_path, table))
    with alone_in(tmp_path / "run"), pytest.raises(ConfigError, match="another process trains in .*run; wait for it"):
        trainer.run()
    assert trainer.run().name == "step-0000004"


def test_a_log_with_an_odd_line_is_gone_on_with(tmp_path, table):  # noqa: F811
    Trainer(config(tmp_path, table)).run()
    with open(tmp_path / "run/log.jsonl", "a", encoding="utf-8") as handle:
        handle.write('{"kind": "train", "step": null, "time": 1}\n{"kind": "tr\n[1]\n')
    Trainer(config(tmp_path, table, train={"steps": 5}), "auto").run()
    assert [entry["step"] for entry in records(tmp_path / "run", "train")] == [1, 2, 3, 4, 5]

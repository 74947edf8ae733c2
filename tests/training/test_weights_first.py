"""Weights come first: whatever else goes wrong, what was learnt is on the disk, and the next run goes on from there."""

import json
import os
import shutil
import signal

import pytest
from PIL import Image

import ernie_vil2
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import CheckpointError, DataError, UserError
from ernie_vil2.training.checkpoint_scores import best_step, read_score
from ernie_vil2.training.trainer import Trainer

from .runs import write_config
from .test_ranks import launch
from .test_trainer import jsonl_of_images, records, run_config

PLAIN = {"pairs": [["image", "caption"]]}
STEPS = {"steps": 4, "batch_size": 4, "log_every": 1}


def config(folder, source, valid=None, **changes):
    """A run of four steps on a table of pictures."""
    data = {"train": source, "vocab": str(folder / "vocab.txt"), "workers": 0, **changes.pop("data", {})}
    if valid:
        data["valid"] = valid
    train = {**STEPS, **changes.pop("train", {})}
    return run_config(folder / "run", data=data, objective=PLAIN, train=train, optimizer={"warmup": 0}, **changes)


@pytest.fixture
def table(tmp_path, random_image, tiny_vocab):
    """A table of twelve pictures, and the vocabulary beside it."""
    shutil.copyfile(tiny_vocab, tmp_path / "vocab.txt")
    return jsonl_of_images(tmp_path, random_image, 12)


@pytest.fixture
def valid(tmp_path, random_image):
    """A table of six pictures to validate on."""
    (tmp_path / "valid").mkdir()
    return jsonl_of_images(tmp_path / "valid", random_image, 6)


def after(trainer, step, act):
    """Have `act` done once that many steps are taken."""
    original, taken = trainer.rig.step, []

    def stepping(*arguments):
        values = original(*arguments)
        taken.append(1)
        if len(taken) == step:
            act()
        return values

    trainer.rig.step = stepping


def latest(folder):
    """The last whole checkpoint of a run: it loads, and its name."""
    path = max((folder / "run/checkpoints").glob("step-*"))
    assert ernie_vil2.load(path).encode_text("猫").shape == (1, 32)
    return path.name


def failing(*arguments, **named):
    raise ValueError("it broke")


@pytest.mark.parametrize(
    "place",
    [
        "ernie_vil2.training.validation.encode_source",
        "ernie_vil2.training.validation.evaluate",
        "ernie_vil2.training.validation.query_grid",
        "ernie_vil2.training.validation.projection",
        "ernie_vil2.training.log.visualdl.Visual.scalars",
        "ernie_vil2.training.log.visualdl.Visual.histogram",
        "ernie_vil2.training.log.visualdl.Visual.images",
        "ernie_vil2.training.log.visualdl.Visual.projector",
        "ernie_vil2.training.log.visualdl.Visual.close",
        "ernie_vil2.training.log.visualdl.Visual.__init__",
        "ernie_vil2.training.log.line_file.LineFile.write",
        "ernie_vil2.training.checkpoint_scores.sha256_of",
    ],
)
def test_what_only_shows_something_ends_no_run(tmp_path, table, valid, monkeypatch, capsys, place):
    trainer = Trainer(config(tmp_path, table, valid, train={"steps": 3, "eval_every": 2}))
    error = failing if "sha256" not in place else lambda path: (_ for _ in ()).throw(OSError(28, "No space left"))
    monkeypatch.setattr(place, error)
    assert trainer.run().name == latest(tmp_path) == "step-0000003"
    assert "No space left" in (text := capsys.readouterr().out) or "ValueError: it broke" in text


def test_weights_are_on_the_disk_before_they_are_measured(tmp_path, table, valid, monkeypatch):
    found = []
    trainer = Trainer(config(tmp_path, table, valid, train={"eval_every": 2}))
    measure = trainer.validation.measure
    monkeypatch.setattr(trainer.validation, "measure", lambda *a: (found.append(latest(tmp_path)), measure(*a))[1])
    trainer.run()
    assert found == ["step-0000002", "step-0000004"]


@pytest.mark.parametrize("size", [(1, 300), (300, 1)])
def test_a_thin_picture_in_validation_is_shown_or_left_out(tmp_path, table, valid, size):
    Image.new("RGB", size, "red").save(tmp_path / "valid/3.png")
    Trainer(config(tmp_path, table, valid)).run()
    assert len(records(tmp_path / "run", "valid")) == 1 and read_score(tmp_path / "run/checkpoints/step-0000004")


def test_a_file_name_in_other_bytes_ends_nothing(tmp_path, table, valid):
    folder = tmp_path / "folder"
    folder.mkdir()
    for index in range(4):
        name = os.fsdecode("图片".encode("gbk")) + str(index)
        shutil.copyfile(tmp_path / f"valid/{index}.png", folder / f"{name}.png")
        (folder / f"{name}.txt").write_text("一只猫", encoding="utf-8")
    Trainer(config(tmp_path, table, str(folder))).run()
    assert latest(tmp_path) == "step-0000004" and list((tmp_path / "run/visualdl").iterdir())


def test_an_owed_validation_is_made_up_for_and_the_log_is_as_of_a_straight_run(tmp_path, table, valid, monkeypatch):
    straight = tmp_path / "straight"
    straight.mkdir()
    shutil.copyfile(tmp_path / "vocab.txt", straight / "vocab.txt")
    Trainer(config(straight, table, valid, train={"eval_every": 2})).run()

    def killed(*arguments):
        raise KeyboardInterrupt

    trainer = Trainer(config(tmp_path, table, valid, train={"eval_every": 2}))
    monkeypatch.setattr(trainer.checkpoints, "score", killed)
    with pytest.raises(KeyboardInterrupt):
        trainer.run()
    Trainer(config(tmp_path, table, valid, train={"eval_every": 2}), "auto").run()
    wanted, found = (records(folder / "run", "valid") for folder in (straight, tmp_path))
    assert [{**entry, "time": 0} for entry in found] == [{**entry, "time": 0} for entry in wanted]
    for step in (2, 4):
        one, other = (read_score(folder / f"run/checkpoints/step-000000{step}") for folder in (straight, tmp_path))
        assert one == other and one is not None
    pointers = [(folder / "run/checkpoints/checkpoints.json").read_text() for folder in (straight, tmp_path)]
    assert pointers[0] == pointers[1]


def test_a_run_at_its_end_whose_validation_failed_is_measured_by_a_resume(tmp_path, table, valid, monkeypatch, capsys):
    pictures = {path: path.read_bytes() for path in (tmp_path / "valid").glob("*.png")}
    trainer = Trainer(config(tmp_path, table, valid))
    for path in pictures:
        path.unlink()
    trainer.run()
    assert "note: valid is not measured at step 4: " in capsys.readouterr().out
    assert not (tmp_path / "run/checkpoints/step-0000004/score.json").exists()
    for path, content in pictures.items():
        path.write_bytes(content)
    assert Trainer(config(tmp_path, table, valid), "auto").run().name == "step-0000004"
    score = read_score(tmp_path / "run/checkpoints/step-0000004")
    assert score.score == records(tmp_path / "run", "valid")[0]["mean_recall"]


def test_a_score_that_is_damaged_or_of_other_weights_does_not_count(tmp_path, table, valid, capsys):
    Trainer(config(tmp_path, table, valid, train={"eval_every": 2})).run()
    saves = tmp_path / "run/checkpoints"
    content = json.loads((saves / "step-0000002/score.json").read_text())
    (saves / "step-0000002/score.json").write_text(json.dumps({**content, "score": 99.0}))
    assert read_score(saves / "step-0000002") is None and best_step(saves) == 4
    (saves / "step-0000002/score.json").write_text((saves / "step-0000004/score.json").read_text())
    assert read_score(saves / "step-0000002") is None
    capsys.readouterr()
    Trainer(config(tmp_path, table, valid, train={"eval_every": 2, "steps": 5}), "auto").run()
    assert "step-0000002/score.json is damaged and does not count" in capsys.readouterr().out


def test_the_best_of_a_run_of_release_0_1_is_known(tmp_path, table, valid):
    Trainer(config(tmp_path, table, valid, train={"eval_every": 2})).run()
    saves = tmp_path / "run/checkpoints"
    for path in saves.glob("*/score.json"):
        path.unlink()
    state = json.loads((saves / "step-0000004/state.json").read_text())
    del state["sha256"]
    (saves / "step-0000004/state.json").write_text(json.dumps({**state, "best": {"step": 2, "score": 70.0}}))
    assert best_step(saves) == 2


@pytest.mark.parametrize("workers", [0, 2])
def test_a_fault_of_the_data_saves_what_was_learnt(tmp_path, table, workers, capsys):
    wanted = tmp_path / "wanted"
    wanted.mkdir()
    shutil.copyfile(tmp_path / "vocab.txt", wanted / "vocab.txt")
    changes = {"train": {"steps": 12}, "data": {"workers": workers}}
    straight = Trainer(config(wanted, table, **changes)).run()
    before = os.stat(table)
    trainer = Trainer(config(tmp_path, table, **changes))
    after(trainer, 2, lambda: os.utime(table, (1, 1)))
    with pytest.raises(DataError):
        trainer.run()
    saved = latest(tmp_path)
    assert f"are saved, --resume auto goes on there: {tmp_path / 'run/checkpoints' / saved}" in capsys.readouterr().out
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))
    resumed = Trainer(config(tmp_path, table, **changes), "auto").run()
    assert resumed.name == "step-0000012"
    assert (resumed / "model.safetensors").read_bytes() == (straight / "model.safetensors").read_bytes()


def test_a_killed_loader_worker_costs_nothing(tmp_path, table):
    trainer = Trainer(config(tmp_path, table, train={"steps": 30}, data={"workers": 1}))
    loader = trainer._loader()
    trainer._loader = lambda: loader
    after(trainer, 2, lambda: os.kill(loader.pids[0], signal.SIGKILL))
    with pytest.raises(DataError, match="was killed by SIGKILL"):
        trainer.run()
    assert latest(tmp_path) >= "step-0000002"
    assert Trainer(config(tmp_path, table, train={"steps": 30}), "auto").run().name == "step-0000030"


def test_a_step_that_cannot_be_taken_leaves_the_step_before_and_the_older_checkpoints(tmp_path, table, monkeypatch):
    trainer = Trainer(config(tmp_path, table, train={"steps": 9, "save_every": 1, "keep": 1}))
    check, calls = trainer.rig.guard.check, []

    def judged(step, loss, *arguments, **named):
        calls.append(step)
        return check(step, float("nan") if step == 3 else loss, *arguments, **named)

    monkeypatch.setattr(trainer.rig.guard, "check", judged)
    monkeypatch.setattr(trainer.config.train, "save_every", 2)
    with pytest.raises(UserError, match="step 4: the loss is nan"):
        trainer.run()
    names = sorted(path.name for path in (tmp_path / "run/checkpoints").glob("step-*"))
    assert names == ["step-0000002", "step-0000003"]  # keep is 1: who knows which of them is still good


def test_weights_that_were_being_changed_are_not_saved(tmp_path, table, monkeypatch):
    trainer = Trainer(config(tmp_path, table))
    original, calls = trainer.rig.optimizer.step, []

    def half(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise RuntimeError("within the update")
        original(*arguments)

    monkeypatch.setattr(trainer.rig.optimizer, "step", half)
    with pytest.raises(RuntimeError):
        trainer.run()
    assert not (tmp_path / "run/checkpoints").exists()


def test_ctrl_c_saves_and_a_second_one_stops_at_once(tmp_path, table, capfd):
    trainer = Trainer(config(tmp_path, table, train={"steps": 9}))
    after(trainer, 2, lambda: os.kill(os.getpid(), signal.SIGINT))
    assert trainer.run().name == latest(tmp_path) == "step-0000002"
    assert trainer.stopped and trainer.status == 130
    assert "Ctrl-C: the weights are saved after this step" in capfd.readouterr().err
    again = Trainer(config(tmp_path, table, train={"steps": 9}), "auto")
    after(again, 2, lambda: [os.kill(os.getpid(), signal.SIGINT) for _ in range(2)])
    with pytest.raises(KeyboardInterrupt):
        again.run()
    assert latest(tmp_path) == "step-0000002"


def test_a_signal_within_validation_does_not_wait_for_its_end(tmp_path, table, valid, monkeypatch):
    trainer = Trainer(config(tmp_path, table, valid, train={"eval_every": 2}))
    encoder = trainer.validation.encoder
    original = encoder.encode_text
    monkeypatch.setattr(
        encoder, "encode_text", lambda *a, **named: (os.kill(os.getpid(), 15), original(*a, **named))[1]
    )
    assert trainer.run().name == "step-0000002" and trainer.stopped and trainer.status == 0
    Trainer(config(tmp_path, table, valid, train={"eval_every": 2}), "auto").run()
    assert [entry["step"] for entry in records(tmp_path / "run", "valid")] == [2, 4]


def test_minutes_bound_what_a_kill_costs_without_pushing_others_out(tmp_path, table, monkeypatch):
    trainer = Trainer(config(tmp_path, table, train={"steps": 8, "save_every": 3, "keep": 2, "save_minutes": 1.0}))
    now, seen, save = [0.0], [], trainer.checkpoints.save
    monkeypatch.setattr("ernie_vil2.training.loop.time.monotonic", lambda: now[0])
    after_each = trainer.rig.step
    trainer.rig.step = lambda *a: (now.__setitem__(0, now[0] + 31.0), after_each(*a))[1]

    def saving(state, *rest):
        path = save(state, *rest)
        seen.append(sorted(int(one.name[-2:]) for one in trainer.checkpoints.folder.glob("step-*")))
        return path

    monkeypatch.setattr(trainer.checkpoints, "save", saving)
    trainer.run()
    assert seen == [[2], [3], [3, 5], [3, 6], [6, 8]]


def test_a_folder_that_is_removed_meanwhile_is_made_anew(tmp_path, table, capsys):
    trainer = Trainer(config(tmp_path, table))
    after(trainer, 2, lambda: shutil.rmtree(tmp_path / "run"))
    assert trainer.run().name == latest(tmp_path) == "step-0000004"
    assert "was removed while the run went on" in capsys.readouterr().out
    assert [entry["step"] for entry in records(tmp_path / "run", "train")] == [2, 3, 4]
    assert Trainer(config(tmp_path, table, train={"steps": 5}), "auto").run().name == "step-0000005"


def test_a_full_disk_names_the_checkpoint_that_is_as_it_was(tmp_path, table, monkeypatch):
    from ernie_vil2.training import run_checkpoints

    trainer = Trainer(config(tmp_path, table, train={"save_every": 2}))
    write, calls = run_checkpoints.write_arrays, []

    def full(path, arrays):
        calls.append(path)
        if "step-0000004" in str(path):
            raise OSError(28, "No space left on device")
        write(path, arrays)

    monkeypatch.setattr(run_checkpoints, "write_arrays", full)
    with pytest.raises(CheckpointError, match=r"No space left.*step-0000002 is whole and as it was.*--resume auto"):
        trainer.run()
    assert latest(tmp_path) == "step-0000002"
    assert not [path for path in (tmp_path / "run/checkpoints").iterdir() if ".tmp" in path.name]


def test_a_terminal_that_goes_away_ends_no_run(tmp_path, table, monkeypatch):
    reading, writing = os.pipe()
    trainer = Trainer(config(tmp_path, table))
    with os.fdopen(writing, "w", encoding="ascii", closefd=False) as terminal:
        monkeypatch.setattr("sys.stdout", terminal)
        after(trainer, 1, lambda: os.close(reading))
        assert trainer.run().name == "step-0000004"
        monkeypatch.undo()
    os.close(writing)
    assert len(records(tmp_path / "run", "train")) == 4


def test_a_line_that_a_full_disk_cut_does_not_spoil_the_next(tmp_path, monkeypatch):
    from ernie_vil2.training.log.line_file import LineFile

    log = LineFile(tmp_path / "log.jsonl")
    log.write('{"step": 1}')
    real = log._file

    class Full:
        def write(self, data):
            real.write(data[:5])
            raise OSError(28, "No space left")

        def fileno(self):
            return real.fileno()

    log._file = Full()
    with pytest.raises(OSError):
        log.write('{"step": 2}')
    log._file = real
    log.write('{"step": 3}')
    assert (tmp_path / "log.jsonl").read_text().splitlines() == ['{"step": 1}', '{"ste', '{"step": 3}']


def test_a_fault_on_one_of_two_ranks_is_answered_by_both(tmp_path):
    path = write_config(
        tmp_path,
        data__valid={"kind": "scenes", "split": "valid", "size": 9, "image_size": 32, "languages": ["zh"]},
        data__workers=1,
        train__save_every=0,
        train__eval_every=2,
        train__steps=40,
    )
    done = launch(2, tmp_path, "tests/training/jobs.py", "train", tmp_path, "faults", check=False)
    logs = [(tmp_path / f"launch/workerlog.{rank}").read_text(encoding="utf-8") for rank in (0, 1)]
    assert done.returncode != 0 and "was killed by SIGKILL" in logs[1]
    assert "another rank cannot go on" in logs[0], logs[0][-2000:]
    assert "MemoryError: no room on this rank" in logs[1] and "note: valid is not measured at step 2" in logs[0]
    saved = Trainer(load_run(path), "auto")  # one process goes on with what two have saved
    assert saved.first >= 3 and f"step-{saved.first:07d}" in logs[0]
    saved.close()

"""What a run leaves behind: records, VisualDL's components, and a log that goes on after a stop."""

import json
import resource

import numpy as np
import pytest
from visualdl import LogReader

from ernie_vil2.device import Device, Memory
from ernie_vil2.errors import UserError
from ernie_vil2.training.log import run_log
from ernie_vil2.training.log.run_log import RunLog, SilentLog, memory


def records(folder):
    return [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]


def shown(folder):
    """{component: {tag: [step]}} of what VisualDL shows: the newest file."""
    reader = LogReader(file_path=str(sorted((folder / "visualdl").iterdir())[-1]))
    return {
        kind: {tag.replace("%", "/"): [item.id for item in reader.get_data(kind, tag)] for tag in tags}
        for kind, tags in reader.get_tags().items()
        if kind != "meta_data"
    }


def fill(log, steps):
    for step in steps:
        log.record("train", step, {"loss": 1.0 / step, "eta": "0:00:01"})
        log.advance()
        log.histogram("similarity", step, np.linspace(-1, 1, 100))
        log.images("queries", step, np.zeros((8, 9, 3), np.uint8))
        log.projector("embeddings", step, np.eye(4), {"kind": ["image"] * 4, "text": list("猫狗ab")})


def test_every_component_reaches_visualdl(tmp_path, capsys):
    log = RunLog(tmp_path, 10)
    fill(log, (2, 4))
    log.histogram("empty", 4, [np.nan])
    log.close()
    found = shown(tmp_path)
    assert found["scalar"] == {"train/loss": [2, 4]}
    assert found["histogram"] == {"similarity": [2, 4]} and found["image"] == {"queries": [2, 4]}
    assert set(found["embeddings"]) == {"embeddings/step-0000002", "embeddings/step-0000004"}
    assert [record["step"] for record in records(tmp_path)] == [2, 4]
    assert capsys.readouterr().out.splitlines() == ["step 2/10: loss 0.5000", "step 4/10: loss 0.2500"]


@pytest.mark.parametrize("torn", ["", '{"kind": "train", "st'])
def test_a_log_goes_on_from_a_checkpoint_without_what_is_done_again(tmp_path, torn):
    log = RunLog(tmp_path, 10)
    fill(log, (2, 4, 6))
    log.close()
    with open(tmp_path / "log.jsonl", "a") as handle:
        handle.write(torn)
    before = records(tmp_path)[:2] if not torn else None
    log = RunLog(tmp_path, 10, start_step=4)
    assert [record["step"] for record in records(tmp_path)] == [2, 4]
    fill(log, (5,))
    log.close()
    assert [record["step"] for record in records(tmp_path)] == [2, 4, 5]
    assert before is None or records(tmp_path)[:2] == before
    assert records(tmp_path)[2]["time"] >= records(tmp_path)[1]["time"]
    found = shown(tmp_path)
    assert found["scalar"] == {"train/loss": [2, 4, 5]} and found["image"] == {"queries": [2, 4, 5]}
    assert found["histogram"] == {"similarity": [2, 4, 5]}
    assert not [entry for entry in tmp_path.iterdir() if "tmp" in entry.name]


def test_other_ranks_write_nothing_and_have_every_method(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    log = SilentLog(3)
    fill(log, (1, 2))
    log.say("here")
    log.close()
    assert not list(tmp_path.iterdir()) and capsys.readouterr().out == "[rank 3] here\n"
    assert {name for name in dir(RunLog) if not name.startswith("_")} <= set(dir(log))


def test_memory_is_that_of_this_process():
    held = np.ones((64, 1 << 20), np.uint8)
    found = memory()
    with open("/proc/self/statm", encoding="ascii") as handle:
        resident = int(handle.read().split()[1]) * resource.getpagesize() / 2**20
    assert abs(found["memory_mb"] - resident) < 16 and found["memory_mb"] > 64 and held.any()
    assert found["memory_peak_mb"] >= found["memory_mb"] - 1


@pytest.mark.parametrize("kind", ["gpu", "xpu", "npu", "iluvatar_gpu"])
def test_memory_of_a_card_stands_under_the_name_of_its_kind(monkeypatch, kind):
    monkeypatch.setattr(run_log, "current_device", lambda: Device(kind, 1))
    monkeypatch.setattr(Device, "tensors", lambda self: Memory(10.04, 20.06))
    found = memory()
    assert list(found) == ["memory_mb", "memory_peak_mb", f"{kind}_memory_mb", f"{kind}_memory_peak_mb"]
    assert list(found.values())[2:] == [10.0, 20.1] and found["memory_mb"] > 50


def test_a_system_that_does_not_tell_memory_now_has_its_peak_logged(monkeypatch):
    def untold():
        raise UserError("not told")

    monkeypatch.setattr(run_log, "process_memory", untold)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    assert memory() == {"memory_mb": pytest.approx(peak, abs=1), "memory_peak_mb": pytest.approx(peak, abs=1)}


STEP = {"loss": 0.25, "image-caption": 0.3, "caption-caption'": 0.1, "grad_norm": 2.0, "lr": 3e-5}
PARTS = ("image-caption", "caption-caption'")
STEP |= {"logit_scale_mm": 14.3, "reader_cost": 0.01, "ips": 1234.56, "eta": "1:02:03", "memory_mb": 800.0}
VALID = {f"{way}_r{k}": 10.0 * k for way in ("t2i", "i2t") for k in (1, 5, 10)} | {"mean_recall": 53.3, "source": "v"}


def test_a_person_reads_loss_parts_rate_speed_and_time_and_the_file_has_all(tmp_path, capsys):
    log = RunLog(tmp_path, 2000)
    log.step(1500, STEP, PARTS)
    log.record("valid", 1500, VALID)
    log.close()
    assert capsys.readouterr().out.splitlines() == [
        "step 1,500/2,000: loss 0.2500 (image-caption 0.3000, caption-caption' 0.1000), lr 3.00e-05, "
        "1,234.6 pairs/s, 1:02:03 left",
        "valid step 1,500/2,000 on v: text to image R@1/5/10 10.0/50.0/100.0, image to text R@1/5/10 10.0/50.0/100.0, "
        "mean recall 53.3",
    ]
    first, second = records(tmp_path)
    assert {**STEP, "kind": "train", "step": 1500} == {key: first[key] for key in first if key != "time"}
    assert second["t2i_r10"] == 100.0
    assert set(shown(tmp_path)["scalar"]) == {
        *(f"train/{key}" for key, value in STEP.items() if not isinstance(value, str)),
        *(f"valid/{key}" for key in VALID if key != "source"),
    }


def test_the_full_line_comes_back(tmp_path, capsys):
    log = RunLog(tmp_path, 10, console="full")
    log.step(2, STEP, PARTS)
    log.close()
    told = capsys.readouterr().out
    assert told.startswith("train step 2: loss 0.2500, image-caption 0.3000, caption-caption' 0.1000, grad_norm 2.0000")
    assert all(key in told for key in STEP)


@pytest.mark.parametrize("columns", ["80", "240"])
def test_on_a_terminal_the_bar_shows_the_step_and_lines_are_for_the_rest(tmp_path, capsys, monkeypatch, columns):
    for stream in ("stdout", "stderr"):
        monkeypatch.setattr(f"sys.{stream}.isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", columns)
    log = RunLog(tmp_path, 10)
    log.advance()
    log.step(1, STEP, PARTS)
    assert capsys.readouterr().out == ""
    assert "loss 0.25" in str(log.bar) and "1,235 pairs/s" in str(log.bar).replace("1,234.6", "1,235")
    assert ("image-caption 0.3000" in str(log.bar)) == (columns == "240")
    log.record("valid", 1, VALID)
    assert "mean recall 53.3" in capsys.readouterr().out
    log.close()


def test_a_file_gets_its_lines_though_a_bar_is_drawn(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    monkeypatch.setattr("sys.stdout.isatty", lambda: False)
    log = RunLog(tmp_path, 10)
    log.step(1, STEP, PARTS)
    assert capsys.readouterr().out.startswith("step 1/10: loss 0.2500")
    log.close()

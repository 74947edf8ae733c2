"""The demo end to end on a few steps: page, figures beside the baseline, and the same figures from the saved model."""

import os
import shlex
import signal

import pytest

import ernie_vil2
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from ernie_vil2.evaluation.encoding import encode_source
from ernie_vil2.evaluation.retrieval import evaluate
from ernie_vil2.stop import Stopped
from ernie_vil2.studies.demo import demo
from ernie_vil2.training.rig import Rig

SHORT = [
    "train.steps=6",
    "train.eval_every=3",
    "train.log_every=2",
    "optimizer.warmup=2",
    "train.batch_size=8",
    "data.train.size=40",
    "data.valid.size=20",
]


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(demo, "TEST_IMAGES", 30)
    monkeypatch.setattr(demo, "BASELINE_IMAGES", 60)
    monkeypatch.setattr(demo.unseen_split, "__defaults__", (30,))


def test_the_demo_writes_its_page_and_the_saved_model_gives_its_figures(tmp_path, small):
    overrides = [*SHORT, f"output={tmp_path}/run"]
    page, result, baseline, search = demo.run_demo("configs/demo.yaml", overrides, say=lambda text: None)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "report.html" and "data:image/" in text and f"{result['t2i_r1']:.1f}" in text
    assert result["num_images"] == 30 and result["num_texts"] == 60 and baseline["num_images"] == 30
    config = load_run("configs/demo.yaml", overrides)
    model = ernie_vil2.load(tmp_path / "run/checkpoints/step-0000006")
    again = evaluate(encode_source(model, demo.unseen_split(config)), "standard")["standard"]
    assert again == result
    index = ernie_vil2.open_index(tmp_path / "run/index")
    text = demo.unseen_split(config)[demo.ASKED].texts[0]
    hits = index.search(text, k=5)
    asked, _, *table, last = search.splitlines()
    assert len(index) == 30 and shlex.join(["search", f"{tmp_path}/run/index", text]) in asked
    assert [line.split()[2] for line in table] == [hit.key for hit in hits]
    assert last.endswith(f" serve {tmp_path}/run/index")


def test_the_gallery_marks_the_right_image(small):
    import numpy as np

    from ernie_vil2.data.sources.scenes.source import SceneSource
    from ernie_vil2.evaluation.embeddings import Embeddings

    source = SceneSource("test", 30, image_size=16, languages="zh", captions=2)
    embeddings = Embeddings(np.eye(30), np.repeat(np.eye(30), 2, axis=0), np.repeat(np.arange(30), 2))
    for entry in demo.query_gallery(embeddings, source):
        assert entry["right"] == [True, False, False, False, False] and entry["rank"] == 1
    for entry in demo.image_gallery(embeddings, source):
        assert entry["right"] == [True, True, False, False, False]


def test_the_demo_replaces_its_own_run_and_no_other(tmp_path, small):
    """A finished run of train.py has the same files; what is the demo's own it says itself."""
    run = tmp_path / "run"
    overrides = [*SHORT, f"output={run}"]
    config = load_run("configs/demo.yaml", overrides)
    (run / "checkpoints").mkdir(parents=True)
    (run / "log.jsonl").write_text("{}")
    for ask in (lambda: demo.prepare(config), lambda: demo.run_demo("configs/demo.yaml", overrides)):
        with pytest.raises(ConfigError, match="something else than a run of the demo, so it is not replaced"):
            ask()
    assert (run / "log.jsonl").read_text() == "{}"
    demo.note(run, {"other": 1}, finished=False)
    (run / "precious.txt").write_text("x")
    with pytest.raises(ConfigError, match="something else"):
        demo.prepare(config)
    (run / "precious.txt").unlink()
    assert demo.prepare(config) is None and [path.name for path in run.iterdir()] == [demo.OWN]
    (tmp_path / "report.html").write_text("mine")
    with pytest.raises(ConfigError, match="report.html exists and does not say that ernie-vil2 demo wrote it"):
        demo.run_demo("configs/demo.yaml", overrides)
    with pytest.raises(ConfigError, match="data.valid is None.*use ernie-vil2 train"):
        demo.run_demo("configs/demo.yaml", ["data.valid=null"])


def test_a_demo_that_is_stopped_writes_no_report_and_goes_on(tmp_path, small, monkeypatch):
    overrides = [*SHORT, f"output={tmp_path}/run"]
    take_step, taken = Rig.step, []

    def step(self, batch, number, *others):
        taken.append(number)
        if len(taken) == 4:
            os.kill(os.getpid(), signal.SIGTERM)
        return take_step(self, batch, number, *others)

    monkeypatch.setattr(Rig, "step", step)
    with pytest.raises(Stopped) as stopped:
        demo.run_demo("configs/demo.yaml", overrides, say=lambda text: None)
    assert stopped.value.status == 143 and not (tmp_path / "report.html").exists()
    page, result, *_ = demo.run_demo("configs/demo.yaml", overrides, say=lambda text: None)
    assert len(taken) == 6 and page.exists()
    monkeypatch.setattr(Rig, "step", take_step)
    again = demo.run_demo("configs/demo.yaml", overrides, say=lambda text: None)
    assert again[1] == result

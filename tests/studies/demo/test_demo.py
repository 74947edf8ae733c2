"""The demo end to end on a few steps: page, figures beside the baseline, and the same figures from the saved model."""

import pytest

import ernie_vil2
from ernie_vil2.config.load import load_run
from ernie_vil2.evaluation.encoding import encode_source
from ernie_vil2.evaluation.retrieval import evaluate
from ernie_vil2.studies.demo import demo

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
    page, result, baseline = demo.run_demo("configs/demo.yaml", overrides, say=lambda text: None)
    text = page.read_text(encoding="utf-8")
    assert page == tmp_path / "report.html" and "data:image/" in text and f"{result['t2i_r1']:.1f}" in text
    assert result["num_images"] == 30 and result["num_texts"] == 60 and baseline["num_images"] == 30
    config = load_run("configs/demo.yaml", overrides)
    model = ernie_vil2.load(tmp_path / "run/checkpoints/step-0000006")
    again = evaluate(encode_source(model, demo.unseen_split(config)), "standard")["standard"]
    assert again == result


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


def test_the_demo_replaces_a_run_and_nothing_else(tmp_path):
    from ernie_vil2.errors import ConfigError

    (tmp_path / "run/checkpoints").mkdir(parents=True)
    (tmp_path / "run/log.jsonl").write_text("")
    demo.remove_run(tmp_path / "run")
    assert not (tmp_path / "run").exists()
    (tmp_path / "precious.txt").write_text("x")
    with pytest.raises(ConfigError, match="holds more than a run"):
        demo.remove_run(tmp_path)
    with pytest.raises(ConfigError, match="data.valid is None.*use tools/train.py"):
        demo.run_demo("configs/demo.yaml", ["data.valid=null"])

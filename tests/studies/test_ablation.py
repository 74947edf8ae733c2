"""The ablation of views: fair configurations, runs that are kept or named when they fail, honest sentences."""

import json
import math
import re
import shutil
import statistics
from xml.etree import ElementTree

import pytest

from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError
from ernie_vil2.files.json_files import write_json
from ernie_vil2.schema import as_dict
from ernie_vil2.studies.ablation import run as ablation
from ernie_vil2.studies.ablation.comparison import NAMES, verdict
from ernie_vil2.studies.ablation.report import document, findings, write_document
from ernie_vil2.studies.runs.processes import run_all
from ernie_vil2.studies.runs.run import results as results_of
from ernie_vil2.studies.runs.spread import interval
from tests.conftest import ROOT

CONFIGS = ROOT / "configs" / "ablation"
TINY = [
    "train.steps=2",
    "train.batch_size=8",
    "train.eval_every=1",
    "optimizer.warmup=1",
    "data.train.size=24",
    "data.valid.size=10",
    "model.image_tower.depth=1",
    "model.text_tower.depth=1",
]


def test_the_configurations_differ_in_their_pairs_alone():
    runs = {name: as_dict(load_run(CONFIGS / f"{name}.yaml")) for name in NAMES}
    pairs = {name: {tuple(pair) for pair in run.pop("objective").pop("pairs")} for name, run in runs.items()}
    for run in runs.values():
        run.pop("output")
    assert all(run == runs["image_text"] for run in runs.values())
    assert len({frozenset(found) for found in pairs.values()}) == len(NAMES) == len(list(CONFIGS.iterdir()))
    assert pairs["image_text"] == {("image", "caption", 1.0)}
    assert pairs["all"] == pairs["image_image"] | pairs["text_text"] | pairs["tags"]
    data = runs["all"]["data"]
    assert data["train"]["noise"] > 0 and data["train"]["wrong"] > 0 and "noise" not in data["valid"]


def test_runs_are_made_kept_and_named_when_they_fail(tmp_path):
    configs = shutil.copytree(CONFIGS, tmp_path / "configs")
    text = (configs / "tags.yaml").read_text()
    (configs / "tags.yaml").write_text(text.replace("workers: 0", "workers: 0\n  vocab: none.txt"))
    said = []
    runs = ablation.plan(configs, tmp_path / "out", [4], ["image_text", "tags", "all"], TINY, images=12)
    runs[2].folder.mkdir(parents=True)
    (runs[2].folder / "precious.txt").write_text("of somebody else")
    failed = run_all(runs, jobs=2, say=said.append)
    assert set(failed) == {"tags with seed 4", "all with seed 4"}
    assert (
        "no run of the ablation" in failed["all with seed 4"]
        and "none.txt does not exist" in failed["tags with seed 4"]
    )
    (result,) = results_of(runs)
    assert result["name"] == "image_text" and result["metrics"]["num_images"] == 12
    assert [record["step"] for record in result["log"] if record["kind"] == "valid"] == [1, 2]
    kept = (tmp_path / "out/image_text-seed4/result.json").stat().st_mtime_ns
    assert run_all(runs[:1], say=said.append) == {} and said[-1] == "1 of 1 runs are finished and kept"
    assert (tmp_path / "out/image_text-seed4/result.json").stat().st_mtime_ns == kept
    (other,) = ablation.plan(configs, tmp_path / "out", [4], ["image_text"], [*TINY, "optimizer.lr=1"], images=12)
    with pytest.raises(ConfigError, match="another configuration"):
        run_all([other])
    assert not json.loads((tmp_path / "out/image_text-seed4/result.json").read_text())["config"].get("output")


def test_a_folder_of_something_else_is_not_replaced(tmp_path):
    (tmp_path / "tags-seed0").mkdir()
    (tmp_path / "tags-seed0/precious.txt").write_text("x")
    runs = ablation.plan(CONFIGS, tmp_path, [0], ["tags"])
    (tmp_path / "tags-seed0/output.txt").write_text("of a tool that writes such a file too")
    for marked in (False, True):
        if marked:
            write_json(tmp_path / "tags-seed0/ablation.json", {}, "bench ablation")
        assert "no run of the ablation" in run_all(runs, say=str)["tags with seed 0"]
    assert (tmp_path / "tags-seed0/precious.txt").exists()
    with pytest.raises(ConfigError, match="--only tag: the configurations are image_text"):
        ablation.plan(CONFIGS, tmp_path, [0], ["tag"])


def test_the_unseen_split_is_drawn_like_the_validation_source():
    valid = {"kind": "scenes", "split": "valid", "size": 3, "image_size": 60, "languages": ["en"]}
    assert ablation.unseen(valid, 50) == "scenes:split=test,size=50,image_size=60,languages=en"
    for wrong in ("photos.jsonl", {"kind": "scenes", "languages": ["zh", "en"]}):
        with pytest.raises(ConfigError):
            ablation.unseen(wrong, 50)


def made_up(gains, seeds=(0, 1, 2)):
    """Results whose mean recall is 30 + seed + gain: differences are taken seed by seed, so the seed drops out."""
    config = as_dict(load_run(CONFIGS / "all.yaml"))
    results = []
    for seed in seeds:
        for name in NAMES:
            value = 30.0 + 5 * seed + gains.get(name, (0, 0, 0))[seed]
            metrics = {"t2i_r1": value, "i2t_r1": value, "mean_recall": value, "num_images": 1000, "num_texts": 2000}
            log = [{"kind": "valid", "step": step, "mean_recall": value * step / 2} for step in (1, 2)]
            log += [{"kind": "train", "step": step, "image-caption": 5.0 / step} for step in (1, 2)]
            results.append({"name": name, "seed": seed, "config": config, "metrics": metrics, "log": log, "minutes": 2})
    return results


def test_verdicts_follow_the_interval():
    assert verdict([3.1, 2.9, 3.3]) == "helps" and verdict([-3.1, -2.9, -3.3]) == "hurts"
    assert verdict([3.1, -2.9, 3.3]) == verdict([0.0, 0.0, 0.0]) == "no difference beyond the spread"
    assert verdict([9.0]) == "unknown with one seed"
    values = [1.0, 2.0, 4.0]
    assert interval(values) == pytest.approx(4.30 * statistics.stdev(values) / math.sqrt(3))


def test_sentences_say_what_the_numbers_say():
    gains = {"tags": (3.0, 3.2, 2.8), "text_text": (-2.0, -2.1, -1.9), "image_image": (1, -1, 0), "all": (4, 4.2, 3.9)}
    text = " ".join(findings(made_up(gains)).split())
    lines = dict(re.findall(r"\*\*(.+?)\*\*: [^*]*?\): (.+?)\.", text))
    assert lines == {
        "+ tags": "helps",
        "+ text-text": "hurts",
        "all views": "helps",
        "+ image-image": "no difference beyond the spread",
    }
    assert "**+ tags**: +3.00 ± 0.20 points" in text
    assert "one of the three views (+ tags) helps by itself, and all of them together do." in text
    nothing = " ".join(findings(made_up({})).split())
    assert "none of the three views helps by itself beyond the spread" in nothing and "make no difference" in nothing


def test_the_document_holds_every_number_and_its_curves(tmp_path):
    results = made_up({"tags": (3.0, 3.2, 2.8)})
    write_document(tmp_path / "new/ablation.md", results)
    text = (tmp_path / "new/ablation.md").read_text(encoding="utf-8")
    assert text == document(results, "ablation.svg")
    assert "| + tags | 38.00 ± 4.90 | 38.00 ± 4.90 | 38.00 ± 4.90 | 3 | 2.0 |" in text
    assert "| + tags | +3.00 ± 0.20 | +3.00 ± 0.20 | +3.00 ± 0.20 | +2.50 to +3.50 | helps |" in text
    assert all(f"| {NAMES[result['name']]}, seed {result['seed']} |" in text for result in results)
    chart = (tmp_path / "new/ablation.svg").read_text(encoding="utf-8")
    assert chart.count('<path class="band') == 2 * len(NAMES) and "+ tags: 38.00" in chart
    ElementTree.fromstring(chart)
    assert all(len(line) <= 120 or line.startswith("|") for line in text.splitlines())
    one = document(made_up({}, seeds=(0,)), "x.svg")
    assert "One seed cannot say" in one
    assert "(one seed)" in one and "unknown" in one and "helps |" not in one

"""The table of systems: equal conditions, a search on the validation split, runs that are kept."""

import json
import shutil
from pathlib import Path

import pytest

from ernie_vil2.cli.bench import systems as verb
from ernie_vil2.cli.bench.main import main
from ernie_vil2.config.load import load_run
from ernie_vil2.errors import ConfigError, UserError
from ernie_vil2.files.json_files import write_json
from ernie_vil2.files.leftovers import place
from ernie_vil2.files.run_folder import STATE
from ernie_vil2.schema import as_dict
from ernie_vil2.studies.runs.run import RESULT
from ernie_vil2.studies.systems import costs, plan
from ernie_vil2.studies.systems.comparison import NAMES
from ernie_vil2.studies.systems.plan import SEEDS, Outcome, train
from ernie_vil2.studies.systems.system_run import SystemRun
from ernie_vil2.studies.systems.tables import search_table
from ernie_vil2.studies.systems.towers import TOWERS, weights
from tests.conftest import ROOT
from tests.studies.systems_results import CONFIGS, TINY, made_up_costs, planned, result

NARROW = ("model.image_tower.width=32", "model.text_tower.width=32")
REPORT = {
    "results": [
        {"benchmark": "scenes@retrieval", "metrics": {"t2i_r1": 1.0, "i2t_r1": 2.0, "mean_recall": 3.0}},
        {"benchmark": "scenes@texts", "metrics": {"spearman": 4.0, "pearson": 5.0, "words_spearman": 6.0}},
        {
            "benchmark": "scenes@images",
            "metrics": {"map@5": 7.0, "map@9": 8.0, "colours_map@5": 0, "colours_map@9": 9.0},
        },
    ]
}


def configurations():
    return {name: as_dict(load_run(CONFIGS / f"{name}.yaml")) for name in NAMES}


@pytest.fixture
def few_pairs(monkeypatch):
    """Evaluations of sentences that ask for few pairs of them."""
    evaluation = SystemRun.evaluation
    monkeypatch.setattr(SystemRun, "evaluation", lambda run: [*evaluation(run), "-o", "pairs=20"])


@pytest.fixture
def trained(monkeypatch):
    """Function (value of a run) after which runs are made up instead of trained; the list of those that were."""

    def pretend(value):
        done = []

        def run_all(runs, jobs, say, replace):
            for run in (run for run in runs if not run.finished(replace)):
                run.begin()
                write_json(run.folder / RESULT, result(run, value(run)))
                done.append((run.name, run.batch, run.rate, run.seed))
            return {}

        monkeypatch.setattr(plan, "run_all", run_all)
        return done

    return pretend


def test_systems_have_the_same_towers_data_and_optimizer():
    runs = configurations()
    for run in runs.values():
        for name in ("system", "settings", "max_length", "fixed_length"):
            run["model"].pop(name)
        run.pop("output"), run.pop("objective")
    assert all(run == runs["clip"] for run in runs.values())
    assert runs["clip"]["data"]["train"]["noise"] > 0 and "noise" not in runs["clip"]["data"]["valid"]
    for tower in TOWERS:
        start = as_dict(load_run(CONFIGS / "towers" / f"{tower}.yaml"))
        assert all(start["model"][f"{name}_tower"] == runs["clip"]["model"][f"{name}_tower"] for name in TOWERS)
        assert start["data"]["train"]["seed"] != runs["clip"]["data"]["train"].get("seed", 0)
        assert "noise" not in start["data"]["train"] and start["seed"] not in SEEDS


def test_each_system_is_what_its_name_says():
    runs = configurations()
    kinds = {name: run["model"]["system"] for name, run in runs.items()}
    assert kinds == {"clip": "ernie_vil2", "ernie_vil2": "ernie_vil2"} | dict.fromkeys(
        ("brivl", "brivl_batch"), "brivl"
    ) | {"cookie": "cookie"}
    pairs = {name: [tuple(pair[:2]) for pair in run["objective"]["pairs"]] for name, run in runs.items()}
    assert pairs["clip"] == pairs["brivl"] == [("image", "caption")]
    assert len(pairs["ernie_vil2"]) == 5
    assert pairs["cookie"] == [("image", "caption"), ("image", "image'"), ("caption", "caption'")]
    assert runs["brivl"]["objective"]["negatives"]["size"] == 1024 and runs["brivl"]["objective"]["temperature"] == 0.07
    for run in (runs["brivl"], runs["brivl_batch"]):
        run.pop("output"), run["objective"].pop("negatives")
    assert runs["brivl_batch"] == runs["brivl"]
    assert runs["brivl"]["objective"]["positives"] == "one"
    assert (
        runs["ernie_vil2"]["objective"]["pairs"]
        == as_dict(load_run(ROOT / "configs/ablation/all.yaml"))["objective"]["pairs"]
    )


def test_every_run_sees_the_same_pairs_and_a_stopped_search_has_every_system(tmp_path):
    wanted = planned(tmp_path, rates=(1e-4, 1e-3, 1e-2))
    search = wanted.search()
    assert len(search) == 30 and {(run.name, run.batch) for run in search[:10]} == {
        (name, batch) for name in NAMES for batch in (16, 32)
    }
    assert {run.rate for run in search[:10]} == {1e-3} and {run.seed for run in search} == {4}
    for run in search:
        config = run.config()
        assert config["train"]["steps"] * config["train"]["batch_size"] == 64
        assert config["optimizer"]["lr"] == run.rate and config["seed"] == 4
    rates = {(name, batch): 1e-3 for name in NAMES for batch in (16, 32)}
    assert [run.seed for run in wanted.table(rates)] == [4] * 10 + [5] * 10
    momenta = {
        (run.name, run.batch): run.config()["objective"]["negatives"].get("momentum")
        for run in planned(tmp_path, pairs=128, batches=(32, 128), rates=(1e-3,)).search()
    }
    assert momenta.pop(("brivl", 32)) == 0.99 and momenta.pop(("brivl", 128)) == pytest.approx(0.96059601)
    assert set(momenta.values()) == {None}
    with pytest.raises(ConfigError, match="--pairs 64 is no multiple of the batch 24"):
        planned(tmp_path, batches=(24,))
    for override, option in (
        ("train.steps=5", "--pairs"),
        ("train={batch_size: 4}", "--batches"),
        ("optimizer.lr=1", "--rates"),
        ("optimizer.warmup=1", "--pairs"),
        ("seed=3", "--seeds"),
        ("output=x", "--output"),
        ("init.image=x", "--configs"),
        ("init={text: x}", "--configs"),
        ("train.eval_every=1", "--pairs"),
        ("train.log_every=1", "--pairs"),
        ("objective.negatives={kind: queue, momentum: 0.5}", "--batches"),
    ):
        with pytest.raises(ConfigError, match=f"the table sets .* for each run; use {option}"):
            planned(tmp_path, overrides=(override,))
    with pytest.raises(ConfigError, match="--only klip: the systems are clip"):
        planned(tmp_path, only=("klip",))


def test_the_rate_is_the_best_of_the_last_validation_and_its_run_is_not_done_twice(tmp_path, trained):
    """High figures at the first validation, and on the test split, do not count."""
    done = trained(lambda run: {1e-3: 5.0, 1e-2: 4.0}[run.rate] if run.name == "clip" else 10 * run.rate)
    two = planned(tmp_path, only=("cookie", "clip"))
    towers, searched, results, failed = train(two, say=str)
    assert [name for name, *_ in done[:2]] == ["image tower", "text tower"] and done.pop(0) and done.pop(0)
    assert towers["image"]["name"] == "image tower" and towers["text"]["seed"] == 102
    assert not failed and len(done) == len(set(done)) == 2 * 2 * 2 + 2 * 2
    assert {(row["name"], row["rate"]) for row in results} == {("clip", 1e-3), ("cookie", 1e-2)}
    assert len(searched) == len(results) == 8 and {row["seed"] for row in results} == {4, 5}
    run = planned(tmp_path).run("clip", 16, 1e-3, 4)
    rows = [result(run, 90.0, 1.0), {**result(run, 1.0, 2.0), "rate": 1e-2}]
    assert planned(tmp_path, only=("clip",), batches=(16,)).chosen(rows) == {("clip", 16): 1e-2}
    equal = [result(run, 1.0, 2.0), {**result(run, 1.0, 2.0), "rate": 1e-2}]
    assert planned(tmp_path, only=("clip",), batches=(16,)).chosen(equal) == {("clip", 16): 1e-3}
    assert planned(tmp_path, only=("clip",), batches=(16,)).chosen(rows[:1]) == {}
    again = trained(lambda run: 0.0)
    assert train(two, say=str).results == results and again == []


def test_a_rate_that_diverged_is_the_worst_and_a_seed_that_did_stops_the_page(tmp_path, trained):
    few = {"only": ("clip", "cookie"), "batches": (16,)}
    done = trained(lambda run: None if run.rate == 1e-2 else 0.0)
    _, searched, results, failed = train(planned(tmp_path, **few), say=str)
    assert not failed and {row["rate"] for row in results} == {1e-3} and len(done) == 2 + 6 and len(results) == 4
    assert "| CLIP | 16 | 0.00 | diverged | 0.001 |" in search_table(searched, results)
    again = trained(lambda run: 1.0)
    assert train(planned(tmp_path, **few), say=str).results == results and again == []  # one that diverged is kept too
    trained(lambda run: None if run.name == "clip" else 1.0)
    _, _, results, failed = train(planned(tmp_path / "all", **few), say=str)
    assert failed == {"CLIP, batch 16": "every rate diverged"} and {row["name"] for row in results} == {"cookie"}
    trained(lambda run: None if (run.name, run.seed) == ("clip", 5) else 1.0)
    _, _, results, failed = train(planned(tmp_path / "seed", **few), say=str)
    assert failed == {"clip, batch 16, rate 0.001, seed 5": "its training diverged"} and len(results) == 3


def test_without_its_towers_nothing_else_runs(tmp_path, trained):
    done = trained(lambda run: None if run.name == "text tower" else 1.0)
    found = train(planned(tmp_path), say=str)
    assert set(found.failed.values()) == {"its training diverged"} and len(done) == 2
    assert "text tower" in next(iter(found.failed)) and found[:3] == ({}, [], [])


def test_runs_that_start_from_other_towers_are_other_runs(tmp_path):
    """An override of what both have in common changes the towers, and one of the runs alone does not."""
    first = planned(tmp_path, only=("cookie",))
    places = {tower: run.folder.name for tower, run in first.towers.items()}
    for changes, same in (
        ({"overrides": (*TINY, *NARROW)}, False),
        ({"overrides": (*TINY, "data={train: {kind: scenes, size: 25, cache: true}}")}, False),
        ({"pairs": 128}, False),
        ({"overrides": (*TINY, "model.settings.layers=2", "train.spike=3")}, True),
    ):
        other = planned(tmp_path, **changes, only=("cookie",))
        assert ({tower: run.folder.name for tower, run in other.towers.items()} == places) == same
    wide = planned(tmp_path, overrides=(*TINY, *NARROW), only=("cookie",))
    held = wide.run("cookie", 16, 1e-3, 4).config()["init"]
    assert (
        held["image"]
        == str(weights(wide.towers["image"]))
        != first.run("cookie", 16, 1e-3, 4).config()["init"]["image"]
    )


def test_a_training_that_the_guard_ended_is_a_result_and_what_it_left_goes(tmp_path, few_pairs):
    wild = (*TINY, "train.spike=0.001")
    asked = planned(tmp_path, only=("clip",), batches=(2,), seeds=(0,), rates=(1e-3,), overrides=wild)
    _, searched, results, failed = train(asked, say=str)
    assert failed == {"CLIP, batch 2": "every rate diverged"} and results == []
    assert searched[0]["diverged"] and "metrics" not in searched[0] and len(searched[0]["code"]) == 64
    (run,) = asked.search()
    assert list(run.folder.glob("stopped-step-*.json")) and run.finished()
    (run.folder / f"log.jsonl.tmp-99999999-{place()}").write_text("half")
    run.clear()
    assert not run.folder.exists()


def test_a_run_that_was_killed_before_its_mark_gives_way(tmp_path):
    run = planned(tmp_path).run("clip", 16, 1e-3, 4)
    run.folder.mkdir(parents=True)
    run.begin()
    (run.folder / "systems.json").rename(run.folder / f"systems.json.tmp-99999999-{place()}")
    run.begin()
    assert [entry.name for entry in run.folder.iterdir()] == ["systems.json"]


def test_a_new_key_of_the_schema_makes_no_other_run_of_a_kept_one(tmp_path, trained):
    trained(lambda run: 1.0)
    few = {"only": ("clip",), "batches": (16,)}
    train(planned(tmp_path, **few), say=str)
    path = planned(tmp_path).run("clip", 16, 1e-3, 4).folder / RESULT
    held = json.loads(path.read_text())
    del held["config"]["train"]["spike"], held["config"]["lora"]
    path.write_text(json.dumps(held))
    assert planned(tmp_path).run("clip", 16, 1e-3, 4).finished()
    held["config"]["optimizer"]["weight_decay"] = 0.5
    path.write_text(json.dumps(held))
    with pytest.raises(ConfigError, match="another configuration"):
        planned(tmp_path).run("clip", 16, 1e-3, 4).finished()


def test_runs_of_another_configuration_and_other_folders_stay(tmp_path, trained):
    trained(lambda run: run.rate)
    few = {"only": ("cookie",), "batches": (16,)}
    train(planned(tmp_path, **few), say=str)
    other = planned(tmp_path, **few, overrides=(*TINY, "optimizer.weight_decay=0.5"))
    for asked in (other, planned(tmp_path, **few, images=10)):
        with pytest.raises(ConfigError, match="another configuration"):
            train(asked, say=str)
    last = planned(tmp_path).run("cookie", 16, 1e-2, 5).folder / RESULT
    kept = last.read_text()
    for rate in (1e-3, 1e-2):
        shutil.rmtree(planned(tmp_path).run("cookie", 16, rate, 4).folder)
    with pytest.raises(ConfigError, match="cookie-batch16-rate0.01-seed5 holds a run of another configuration"):
        train(other, say=str)
    assert not planned(tmp_path).run("cookie", 16, 1e-3, 4).folder.exists()  # told before the search began
    train(other, say=str, replace=True)
    assert last.read_text() != kept
    strange = planned(tmp_path / "new").run("cookie", 16, 1e-3, 4).folder
    strange.mkdir(parents=True)
    (strange / "precious.txt").write_text("x")
    with pytest.raises(ConfigError, match="no run of the table of systems"):
        train(planned(tmp_path / "new", **few), say=str)
    assert (strange / "precious.txt").exists()


def test_the_figures_of_the_benchmark_are_taken_at_the_greatest_depth(tmp_path):
    metrics = planned(tmp_path).run("clip", 16, 1e-3, 4).metrics(REPORT)
    assert (
        metrics["map_depth"] == "9"
        and metrics["map"] == 8.0
        and metrics["colours_map"] == 9.0
        and metrics["num_images"] == 9
    )
    assert (metrics["mean_recall"], metrics["spearman"], metrics["words_spearman"]) == (3.0, 4.0, 6.0)


def test_the_page_waits_for_all_systems_and_names_what_failed(tmp_path, monkeypatch, trained, capsys):
    trained(lambda run: run.rate)
    monkeypatch.setattr(verb, "measured", lambda configs, *options: made_up_costs_of(configs))
    words = ["systems", "--pairs", "64", "--batches", "16", "--seeds", "0", "1", "--rates", "1e-3"]
    words += ["--configs", str(CONFIGS), "--output", str(tmp_path / "out"), "--write", str(tmp_path / "page.md")]
    main([*words, "--only", "clip"])
    assert "is not written; repeat the command without it" in capsys.readouterr().out
    assert not (tmp_path / "page.md").exists()
    main(words)
    assert "# Which system?" in (tmp_path / "page.md").read_text() and "wrote" in capsys.readouterr().out
    main(words)  # its own page is replaced
    (tmp_path / "page.md").write_text("mine")
    with pytest.raises(ConfigError, match="does not say that ernie-vil2 bench systems wrote it"):
        main(words)
    (tmp_path / "page.md").unlink()
    (tmp_path / "out" / costs.COSTS).write_text("{}")
    with pytest.raises(ConfigError, match="costs.json exists and does not say that ernie-vil2 bench systems wrote it"):
        main(words)
    (tmp_path / "page.md").write_text("mine")
    monkeypatch.setattr(
        verb, "train", lambda *given, **options: Outcome({}, [], [], {"clip": "training ended: no disk"})
    )
    with pytest.raises(UserError, match="clip: training ended: no disk; the other runs are kept"):
        main([*words, "--replace"])
    assert (tmp_path / "page.md").read_text() == "mine"


def made_up_costs_of(configs):
    found = made_up_costs()
    assert set(configs) == set(NAMES) and set(configs["clip"]) == {16}
    for part in ("times", "memory"):
        for name in NAMES:
            found[part][name] |= {"16": found[part][name]["32"]}
    return found


def test_a_run_is_trained_and_measured_on_three_tasks(tmp_path, few_pairs):
    asked = planned(tmp_path, only=("clip",), batches=(16,), seeds=(0,), rates=(1e-3,), pairs=32)
    towers, searched, (row,), failed = train(asked, say=str)
    assert not failed and searched == [row] and row["metrics"]["num_images"] == 9
    assert {"t2i_r1", "i2t_r1", "spearman", "pearson", "map", "words_spearman", "colours_map"} <= set(row["metrics"])
    assert (row["name"], row["batch"], row["rate"], row["seed"]) == ("clip", 16, 1e-3, 0)
    assert [record["step"] for record in row["log"] if record["kind"] == "valid"] == [0, 1, 2]
    for tower in TOWERS:
        run = asked.towers[tower]
        assert weights(run) == run.model == Path(row["config"]["init"][tower]) and (run.model / STATE).is_file()
        assert towers[tower]["metrics"]["num_images"] == 9

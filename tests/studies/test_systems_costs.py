"""What the systems of the table cost: ratios of one turn, parts of a model, and when costs are measured anew."""

import json
import types

from ernie_vil2 import device
from ernie_vil2.files.digests import sha256_of_code
from ernie_vil2.studies.demo import demo
from ernie_vil2.studies.systems import costs
from tests.studies.systems_results import planned


def test_times_are_ratios_in_the_same_turn(monkeypatch):
    seconds = {("32", "clip"): [1.0, 2.0, 4.0], ("32", "brivl"): [3.0, 4.0, 12.0]}
    assert costs.figure(seconds, "32", "brivl", 2) == {"seconds": 2.0, "ratio": 3.0}
    order = []
    calls = {("32", name): (lambda name=name: order.append(name)) for name in ("clip", "brivl")}
    assert {len(found) for found in costs.in_turns(calls).values()} == {costs.TURNS}
    assert order == ["clip", "brivl"] * (costs.WARM_STEPS + costs.TURNS)
    waits = types.SimpleNamespace(synchronise=lambda: order.append("wait"))
    monkeypatch.setattr(device, "current_device", lambda: waits)
    order.clear()
    costs.in_turns(calls)
    assert order[:6] == ["wait", "clip", "wait", "wait", "brivl", "wait"]


def test_costs_are_kept_for_the_same_configurations(tmp_path, monkeypatch):
    asked = []

    def ask(job, what):
        asked.append(job["kind"])
        return json.dumps({"loaded": 1.0, "most": 2.0} if job["kind"] == "memory" else {"times": {}})

    monkeypatch.setattr(costs, "ask", ask)
    monkeypatch.setattr(costs, "sha256_of_code", lambda folder: "a")
    found = costs.measured({"clip": {32: {"seed": 0}}}, tmp_path, 9)
    memory = {"clip": {"32": {"loaded": 1.0, "most": 2.0}}}
    assert found == {"times": {}, "memory": memory, "code": "a"} and len(asked) == 2
    assert costs.measured({"clip": {32: {"seed": 0}}}, tmp_path, 9) == found and len(asked) == 2
    costs.measured({"clip": {32: {"seed": 1}}}, tmp_path, 9)
    costs.measured({"clip": {32: {"seed": 1}}}, tmp_path, 8)
    assert len(asked) == 6
    costs.measured({"clip": {32: {"seed": 1}}}, tmp_path, 8, replace=True)
    monkeypatch.setattr(costs, "sha256_of_code", lambda folder: "b")
    assert costs.measured({"clip": {32: {"seed": 1}}}, tmp_path, 8)["code"] == "b" and len(asked) == 10


def test_the_state_of_code_is_that_of_all_modules_and_their_names(tmp_path):
    (tmp_path / "part").mkdir()
    (tmp_path / "part" / "one.py").write_text("1")
    first = sha256_of_code(tmp_path)
    (tmp_path / "notes.txt").write_text("no code")
    assert sha256_of_code(tmp_path) == first
    (tmp_path / "part" / "one.py").write_text("2")
    second = sha256_of_code(tmp_path)
    (tmp_path / "part" / "one.py").rename(tmp_path / "one.py")
    assert len({first, second, sha256_of_code(tmp_path)}) == 3


def test_costs_are_those_of_the_systems(tmp_path, monkeypatch):
    """Towers are the same, a system's own layers are beside them, and CLIP is the measure of time."""
    monkeypatch.setattr(demo, "measure_baseline", lambda config, tokenizer, test: {"images": len(test)})
    for name in ("TURNS", "IMAGES", "CAPTIONS"):
        monkeypatch.setattr(costs, name, 2)
    wanted = planned(tmp_path, only=("clip", "cookie"), batches=(16,))
    runs = {name: {"16": wanted.run(name, 16, 1e-3, 0).config()} for name in wanted.names}
    found = costs.times({"runs": runs, "images": 9}, tmp_path)
    held = found["parameters"]
    assert held["clip"]["towers"] == held["cookie"]["towers"] and held["clip"]["own"] == 1
    shared = 2 * (64 * 64 + 64) + 4 * 64 * 64 + 2 * 64 * 128 + 9 * 64 + 128  # two Linear, one post-norm layer
    assert held["cookie"]["own"] == shared + 3 and held["cookie"]["all"] == held["cookie"]["towers"] + shared + 3
    assert set(found["times"]["cookie"]) == {"16", "images", "texts", "views"} and found["baseline"] == {"images": 9}
    assert all(row["ratio"] == 1.0 and row["seconds"] > 0 for row in found["times"]["clip"].values())
    seen = costs.memory(costs.trainer(runs["clip"]["16"], tmp_path / "memory"))
    assert 0 < seen["loaded"] <= seen["most"]

"""The kill test can fail: what a kill may not leave is named, and what it may leave is not."""

import hashlib
import json
import shutil
import sqlite3

import pytest

from tests.kills import judge, judge_run
from tests.kills.__main__ import summary, table
from tests.kills.job import KILL, TERM
from tests.kills.jobs import JOBS
from tests.kills.trial import Verdict, draw

RECORDS = [
    {"kind": kind, "step": step, "time": step, "loss": 1 / step, "ips": step}
    for step, kind in ((1, "train"), (2, "train"), (2, "valid"), (3, "train"), (4, "train"))
]


@pytest.fixture
def pair(tmp_path):
    """(folder of a job that was killed, that of the straight one), both still empty."""
    for name in ("killed", "straight"):
        (tmp_path / name).mkdir()
    return tmp_path / "killed", tmp_path / "straight"


def write_checkpoint(folder, step):
    path = folder / f"checkpoints/step-{step:07d}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"weights of %d" % step)
    digest = hashlib.sha256(b"weights of %d" % step).hexdigest()
    listed = {"model.safetensors": {"bytes": len(b"weights of %d" % step), "sha256": digest}}
    state = {"step": step, "metrics": {}, "files": listed, "run": {"output": str(folder)}}
    (path / "state.json").write_text(json.dumps(state))
    return path


def write_score(path, score):
    """The score beside a checkpoint."""
    state = hashlib.sha256((path / "state.json").read_bytes()).hexdigest()
    content = {"step": 2, "score": score, "state_sha256": state}
    own = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
    (path / "score.json").write_text(json.dumps({**content, "sha256": own}))


def write_log(folder, records):
    (folder / "log.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))


@pytest.fixture
def runs(pair):
    """Two runs at their end, 4 steps, a checkpoint every 2; the straight one has every checkpoint."""
    for folder, steps in zip(pair, ([2, 4], [1, 2, 3, 4]), strict=True):
        for step in steps:
            write_checkpoint(folder, step)
        write_score(folder / "checkpoints/step-0000002", 40.0)
        write_log(folder, RECORDS)
        pointer = {"latest": "step-0000004", "best": "step-0000002"}
        (folder / "checkpoints/checkpoints.json").write_text(json.dumps(pointer))
    return pair


def flip(path, at=-1):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_run_that_went_on_to_its_end_has_no_fault(runs):
    write_log(runs[0], [{**record, "time": 0.5, "ips": 9} for record in RECORDS])
    assert judge_run.wrong_end(*runs, 4, 2) == [] and judge_run.unsaved(runs[0]) == []


def test_a_run_that_was_killed_between_two_checkpoints_has_no_fault(runs):
    run, wanted = runs
    shutil.rmtree(run / "checkpoints/step-0000004")
    (run / "checkpoints/step-0000004.tmp").mkdir()
    (run / "checkpoints/step-0000002/score.json").unlink()
    (run / "checkpoints/checkpoints.json").write_text('{"latest": "step-0000002", "best": null}')
    with open(run / "log.jsonl", "a") as log:
        log.write('{"kind": "tra')
    assert judge_run.torn_run(run, wanted, 2) == []
    (run / "checkpoints/checkpoints.json").unlink()
    assert judge_run.torn_run(run, wanted, 2) == []


FAULTS_OF_A_RUN = {
    "a wrong byte": (
        lambda run: flip(run / "checkpoints/step-0000002/model.safetensors"),
        "step-0000002/model.safetensors is not the file that state.json lists",
    ),
    "a cut state": (
        lambda run: (run / "checkpoints/step-0000002/state.json").write_text('{"step": 2, "fi'),
        "step-0000002/state.json cannot be read",
    ),
    "other weights, well listed": (
        lambda run: shutil.copytree(
            run / "checkpoints/step-0000002", run / "checkpoints/step-0000004", dirs_exist_ok=True
        ),
        "step-0000004/state.json says step 2, not 4",
    ),
    "a cut score": (
        lambda run: (run / "checkpoints/step-0000002/score.json").write_text('{"score": 4'),
        "step-0000002/score.json cannot be read",
    ),
    "a score with a wrong byte": (
        lambda run: flip(run / "checkpoints/step-0000002/score.json", 21),
        "step-0000002/score.json is not of this checkpoint, or damaged",
    ),
    "another score": (
        lambda run: write_score(run / "checkpoints/step-0000002", 41.0),
        "step-0000002/score.json says another score",
    ),
    "a score of what was not measured": (
        lambda run: write_score(run / "checkpoints/step-0000004", 41.0),
        "step-0000004/score.json says another score",
    ),
    "a pointer to nothing": (
        lambda run: shutil.rmtree(run / "checkpoints/step-0000002"),
        "checkpoints.json calls step-0000002 the best, which is not there or not whole",
    ),
    "a torn pointer": (
        lambda run: (run / "checkpoints/checkpoints.json").write_text('{"latest": "st'),
        "checkpoints.json cannot be read",
    ),
    "more steps lost than may be": (
        lambda run: write_log(run, [*RECORDS, *({"kind": "train", "step": step} for step in (5, 6, 7))]),
        "step 7 was done and 4 is saved, with a checkpoint every 2",
    ),
    "a torn line inside the log": (
        lambda run: (run / "log.jsonl").write_text('{"kind": "tra\n{"kind": "train", "step": 1}\n'),
        "log.jsonl has a line that is torn and not the last",
    ),
}
FAULTS_OF_AN_END = {
    "another loss": (
        lambda run: write_log(run, [*RECORDS[:1], {**RECORDS[1], "loss": 0.25}, *RECORDS[2:]]),
        "log.jsonl: train step 2 stands where train step 2 does, different in loss",
    ),
    "a record twice": (
        lambda run: write_log(run, [*RECORDS[:2], *RECORDS[1:]]),
        "log.jsonl has 6 records, not 5",
    ),
    "a validation left out": (
        lambda run: write_log(run, [*RECORDS[:2], *RECORDS[3:]]),
        "log.jsonl: train step 3 stands where valid step 2 does",
    ),
    "no score": (
        lambda run: (run / "checkpoints/step-0000002/score.json").unlink(),
        "checkpoints/step-0000002/score.json is missing",
    ),
    "no last checkpoint": (
        lambda run: shutil.rmtree(run / "checkpoints/step-0000004"),
        "the latest checkpoint is of step 2, not 4",
    ),
    "another best": (
        lambda run: (run / "checkpoints/checkpoints.json").write_text('{"latest": "step-0000004", "best": null}'),
        "checkpoints.json says",
    ),
    "a file too many": (
        lambda run: (run / "checkpoints/core").write_text("dumped"),
        "checkpoints/core is one too many",
    ),
}


@pytest.mark.parametrize("name", FAULTS_OF_A_RUN)
def test_a_fault_of_a_run_is_named_at_once(runs, name):
    run, wanted = runs
    harm, sentence = FAULTS_OF_A_RUN[name]
    harm(run)
    assert any(fault.startswith(sentence) for fault in judge_run.torn_run(run, wanted, 2))


@pytest.mark.parametrize("name", FAULTS_OF_AN_END)
def test_a_fault_of_an_end_is_named(runs, name):
    run, wanted = runs
    harm, sentence = FAULTS_OF_AN_END[name]
    harm(run)
    assert any(fault.startswith(sentence) for fault in judge_run.wrong_end(run, wanted, 4, 2))


def test_an_orderly_end_that_saved_less_than_it_did_is_named(runs):
    shutil.rmtree(runs[0] / "checkpoints/step-0000004")
    sentence = "it ended in order at step 4, and the latest checkpoint is of step 2"
    assert judge_run.unsaved(runs[0]) == [sentence]


@pytest.mark.parametrize(
    "name", ["a.tmp", "a.tmp-17", "a.unchecked.tmp-17", "a.replaced-17", "a.partial", "j.sqlite-journal", "a.abandoned"]
)
def test_a_leftover_is_named_once(tmp_path, name):
    (tmp_path / "run" / name / "deeper.tmp").mkdir(parents=True)
    (tmp_path / "run/attempt.tmpl").touch()
    assert judge.leftovers(tmp_path) == [f"run/{name} was left"]


def test_trees_are_compared_byte_for_byte(pair):
    one, other = pair
    for folder in pair:
        (folder / "deep").mkdir()
        (folder / "deep/a").write_bytes(b"12345")
    assert judge.different(one, other) == [] and judge.absent_or_whole(one / "none", other) == []
    flip(one / "deep/a", 2)
    (one / "more").touch()
    (other / "less").touch()
    assert judge.different(one, other, but=["less"]) == judge.absent_or_whole(one, other, but=["less"])
    assert judge.different(one, other) == [
        "killed/deep/a differs from byte 2 on (5 bytes, not 5)",
        "killed/less is missing",
        "killed/more is one too many",
    ]


def encode_half(out, data, size):
    """What a killed run of encoding leaves: a journal that says `size` of a file with `data`."""
    work = out.with_name("out.partial")
    work.mkdir()
    (work / "text.npy").write_bytes(data)
    base = sqlite3.connect(work / "journal.sqlite")
    base.execute("CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT)")
    base.execute("INSERT INTO notes VALUES ('state', ?)", (json.dumps({"sizes": {"text.npy": size}}),))
    base.commit()
    base.close()


@pytest.mark.parametrize(
    "data, right", [(b"h" * 128 + b"abcdTORN", True), (b"h" * 128 + b"abXd", False), (b"h", False)]
)
def test_what_encoding_committed_must_be_there(pair, data, right):
    one, other = pair
    (other / "out").mkdir()
    (other / "out/text.npy").write_bytes(b"H" * 128 + b"abcdefgh")
    encode_half(one / "out", data, 132)
    sentence = "text.npy does not begin with the 132 bytes that are committed"
    assert judge.torn_encoding(one / "out", other / "out") == ([] if right else [sentence])


def test_encoding_that_is_there_in_part_is_named(pair):
    one, other = pair
    (other / "out").write_bytes(b"lines")
    (one / "out").write_bytes(b"lin")
    assert judge.torn_encoding(one / "out", other / "out") == ["out differs from byte 3 on (3 bytes, not 5)"]


def test_a_cut_tar_and_an_index_that_runs_ahead_are_named(pair):
    shards = [{"name": f"0000{number}.tar", "rows": [number, number + 1]} for number in range(3)]
    for folder, count in zip(pair, (2, 3), strict=True):
        for shard in shards[:count]:
            (folder / shard["name"]).write_bytes(b"tar of samples")
        content = {"complete": count == 3, "shards": shards[:count]}
        (folder / "index.json").write_text(json.dumps(content))
    one, other = pair
    assert judge.torn_shards(one, other) == []
    (one / "00001.tar").write_bytes(b"tar")
    assert judge.torn_shards(one, other) == ["00001.tar differs from byte 3 on (3 bytes, not 14)"]
    (one / "00001.tar").unlink()
    assert judge.torn_shards(one, other) == ["00001.tar is listed and not there"]
    (one / "index.json").write_text(json.dumps({"complete": True, "shards": shards}))
    assert "killed/00002.tar is missing" in judge.torn_shards(one, other)


def test_one_of_two_directories_must_be_there_in_whole(pair):
    one, other = pair
    places = {name: one / name for name in ("out", "older", "out.replaced-17")}
    for folder, word in ((other / "out", "new"), (places["older"], "old"), (places["out"], "old")):
        folder.mkdir()
        (folder / "config.json").write_text(word)
    verdict = lambda: judge.torn_directory(places["out"], other / "out", places["older"])  # noqa: E731
    assert verdict() == []
    places["out"].rename(places["out.replaced-17"])
    assert verdict() == []
    shutil.rmtree(places["out.replaced-17"])
    assert verdict() == ["out is gone, the older one too"]
    places["out"].mkdir()
    (places["out"] / "config.json").write_text("ne")
    assert verdict() == ["out/config.json differs from byte 2 on (2 bytes, not 3)"]
    assert judge.torn_directory(places["out"], other / "out") == verdict()


def test_a_trial_is_of_its_seed_and_number_alone():
    plans = [draw(1, number) for number in range(3 * len(JOBS))]
    assert [(job.name, list(map(str, moments))) for job, moments in plans] == [
        (job.name, list(map(str, moments))) for job, moments in (draw(1, number) for number in range(3 * len(JOBS)))
    ]
    assert {job.name for job, _ in plans} == {job.name for job in JOBS}
    assert str(draw(2, 0)[1][0]) != str(plans[0][1][0])


def test_the_table_counts_and_says_how_to_repeat():
    right = Verdict(0, "shard", [KILL, KILL, TERM], 2)
    wrong = Verdict(7, "shard", [TERM], 1, [(TERM, "at once: one"), (TERM, "at the end: two")])
    lines = table([right, wrong]).splitlines()
    assert [line.split() for line in lines[1:]] == [["shard", "SIGKILL", "2", "0"], ["shard", "SIGTERM", "2", "1"]]
    assert summary([right, wrong], 3).splitlines() == [
        "4 kills in 2 trials, 3 repeated commands, 1 wrong trials",
        "repeat with: make kill-test SEED=3 TRIAL=7    (shard)",
    ]

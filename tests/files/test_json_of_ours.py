"""JSON that the project wrote and reads back, with any value in place of any other: a result, or one sentence."""

import copy
import json
import sqlite3

import pytest

from ernie_vil2.checkpoints.download.download import read_records
from ernie_vil2.checkpoints.download.part_file import Part
from ernie_vil2.data.sources.tar.manifest import read_manifest, write_manifest
from ernie_vil2.errors import UserError
from ernie_vil2.evaluation.compare.tables import as_json, compare_runs
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import read_run, write_run
from ernie_vil2.files.run_folder import read_state, whole_steps
from ernie_vil2.inference.journal import DATABASE, Journal
from ernie_vil2.inference.outputs import read_record
from ernie_vil2.training.checkpoint_scores import Score, best_step, damaged_scores, read_score, write_score
from ernie_vil2.training.log.run_log import kept_records

VALUES = (
    None,
    True,
    -1,
    0,
    1.5,
    10**21,
    10**400,
    float("inf"),
    float("nan"),
    "x",
    "\ud800\n",
    [],
    {},
    [[1]],
    {"a": []},
)
NESTED = (
    "[" * 100_000,
    '{"a":' * 100_000,
    "[" * 100_000 + "]" * 100_000,
    "",
    "nul",
    '{"a": 1, "a": 2}',
    '"' + "9" * 6000,
)


def places(content, way=()):
    """The ways to all values of JSON content, itself the first."""
    yield way
    inner = content.items() if isinstance(content, dict) else enumerate(content) if isinstance(content, list) else ()
    for key, value in inner:
        yield from places(value, (*way, key))


def variants(content):
    """Texts of JSON content in which one value is another, or is missing, and of what is no such content."""
    yield from NESTED
    for way in places(content):
        for value in (*VALUES, KeyError):
            changed = [copy.deepcopy(content)]
            place = changed
            for key in (0, *way[:-1]) if way else ():
                place = place[key]
            last = way[-1] if way else 0
            if value is KeyError:
                place.pop(last)
            else:
                place[last] = value
            if changed:
                yield json.dumps(changed[0])


def state():
    sizes = {"config.json": {"bytes": 3, "sha256": "0" * 64}}
    run = {"train": {"steps": 8}}
    place = {
        "step": 2,
        "position": [0, 3],
        "samples": 50,
        "loss_scale": {"value": 2.0, "good": 1},
        "metrics": {"a": 1.0},
    }
    return {
        "version": 1,
        **place,
        "before": {"valid": {"a": 1.0}},
        "run": run,
        "best": {"step": 2, "score": 1.0},
        "files": sizes,
    }


def checkpoint(folder):
    path = folder / "checkpoints" / "step-0000002"
    path.mkdir(parents=True, exist_ok=True)
    (path / "state.json").write_text(json.dumps(state()))
    return path


def read_checkpoint(path):
    whole_steps(path.parent.parent)
    best_step(path.parent.parent)
    try:
        read_state(path.parent)
    except (OSError, ValueError):
        pass  # its readers say which checkpoint to take instead


def scored(folder):
    path = checkpoint(folder)
    write_score(path, Score(2, 7.5, {"mean_recall": 7.5}))
    return path / "score.json"


def read_scored(path):
    read_score(path.parent), damaged_scores(path.parent.parent), best_step(path.parent.parent)


def manifest(folder):
    rows = {"name": "00000.tar", "samples": 2, "captions": 2, "bytes": 10240, "sha256": "0" * 64, "rows": [0, 2]}
    write_manifest(folder, {"complete": True, "bad": 0, "bad_bytes": 0, "shards": [rows]})
    content = json.loads((folder / "index.json").read_text())
    del content["sha256"]
    (folder / "index.json").write_text(json.dumps(content))
    return folder / "index.json"


def results(folder):
    rows = [Result("coco-cn@1", "retrieval", {"t2i_r1": 12.5, "bad": None}, {"images": 3}, notes=("one",))]
    write_run(folder / "run", Outcome(rows, "ab" * 32), {"command": "x", "data_sha256": "1", "versions": {}})
    return folder / "run" / "result.json"


def note(folder):
    part = Part(folder / "a.part", "https://x")
    part.restart('"tag"', 7)
    part.path.write_bytes(b"abc")
    return part.note


def read_note(path):
    known = Part(path.with_suffix(""), "https://x").known()
    assert known == {} or (isinstance(known["validator"], str) and known["bytes"] in (None, 0, 7, 10**21, 10**400))


def written(name, content):
    def write(folder):
        (folder / name).write_text(json.dumps(content))
        return folder / name

    return write


RECORD = {"model": "m", "format": "arrays", "rows": 3, "texts": 3, "bad rows": 0, "causes": {"bad id": 1}}
LOG = {"kind": "train", "step": 3, "time": 1.5, "loss": 2.5}
SUMS = {"a.pdparams": {"sha256": "0" * 64, "bytes": 3, "url": "https://x", "date": "2026-01-01"}}
READERS = {
    "state.json": (lambda folder: checkpoint(folder) / "state.json", read_checkpoint),
    "score.json": (scored, read_scored),
    "index.json": (manifest, lambda path: read_manifest(path.parent)),
    "result.json": (results, lambda path: as_json(compare_runs([read_run(path.parent)]))),
    "a note of a download": (note, read_note),
    "checksums.json": (written("checksums.json", SUMS), read_records),
    "a record": (written("run.json", RECORD), read_record),
    "log.jsonl": (written("log.jsonl", LOG), lambda path: kept_records(path, 5)),
}


@pytest.mark.parametrize("name", READERS)
def test_any_value_in_place_of_another(tmp_path, name):
    make, read = READERS[name]
    path = make(tmp_path)
    read(path)
    for text in variants(json.loads(path.read_text())):
        path.write_text(text)
        try:
            read(path)
        except UserError as error:
            assert len(str(error)) <= 480 and str(error).isprintable(), text[:200]


def test_any_value_in_a_journal(tmp_path):
    first = Journal(tmp_path / "work", {"model": "m"})
    first.open(["a.bin"])
    first.write("a.bin", b"abc")
    first.add("id", "[1, 2]")
    first.commit(counts={"rows": 1, "texts": 1, "bad rows": 0})
    first.close()
    base = sqlite3.connect(tmp_path / "work" / DATABASE, isolation_level=None)
    for name in ("identity", "state"):
        ((held,),) = base.execute("SELECT value FROM notes WHERE name = ?", (name,)).fetchall()
        for text in (*variants(json.loads(held)), None, b"\xff"):
            base.execute("UPDATE notes SET value = ? WHERE name = ?", (text, name))
            base.close()
            try:
                again = Journal(tmp_path / "work", {"model": "m"})
                again.open(["a.bin"])
                again.close()
            except UserError as error:
                assert "\n" not in str(error)
            assert (tmp_path / "work" / "a.bin").stat().st_size <= 3
            (tmp_path / "work" / "a.bin").write_bytes(b"abc")
            base = sqlite3.connect(tmp_path / "work" / DATABASE, isolation_level=None)
        base.execute("UPDATE notes SET value = ? WHERE name = ?", (held, name))
    base.close()

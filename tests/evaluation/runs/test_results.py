"""Run folders: what is written is read again, damage is told, and a row says how to get it again."""

import hashlib
import json
import os
import sys

import numpy as np
import pytest

from ernie_vil2.checkpoints import release_layout
from ernie_vil2.checkpoints.formats.paddle_file import write_pdparams
from ernie_vil2.checkpoints.formats.safetensors_file import header_digest
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.errors import CheckpointError, DataError
from ernie_vil2.evaluation.runs.provenance import command_line, provenance
from ernie_vil2.evaluation.runs.records import Outcome, Result
from ernie_vil2.evaluation.runs.results import check_folder, read_run, write_run
from ernie_vil2.files.atomic import ASIDE
from tests.standin import standin_tensor

WHENCE = {"command": "eval x", "data_sha256": "1", "model_sha256": "2", "config_sha256": "3", "versions": {}}


def outcome(**metrics):
    row = Result("coco-cn@1053", "retrieval", {"t2i_r1": 12.5, **metrics}, {"images": 3}, notes=("one 图",))
    return Outcome([row, Result("sts@x", "sts", {"spearman": np.float32(0.5)}, {})], "ab" * 32)


def test_what_is_written_is_read_again(tmp_path):
    write_run(tmp_path / "deep" / "run", outcome(bad=float("nan")), WHENCE)
    run = read_run(tmp_path / "deep" / "run")
    first, second = run.results
    assert first == Result(
        "coco-cn@1053", "retrieval", {"t2i_r1": 12.5, "bad": None}, {"images": 3}, WHENCE, ("one 图",)
    )
    assert second.metrics == {"spearman": 0.5} and second.provenance == WHENCE and run.analysis is None
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["run"]


def test_a_run_is_replaced_and_nothing_else_is(tmp_path):
    write_run(tmp_path / "run", outcome(), WHENCE)
    write_run(tmp_path / "run", outcome(t2i_r1=50.0), WHENCE)
    assert read_run(tmp_path / "run").results[0].metrics["t2i_r1"] == 50.0
    (tmp_path / "run" / "mine.txt").write_text("kept")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "result.json").write_text("[1]")
    (tmp_path / "file").write_text("kept")
    os.symlink(tmp_path / "photos", tmp_path / "link")
    for name in ("run", "photos", "file", "link"):
        for ask in (lambda path: write_run(path, outcome(), WHENCE), check_folder):
            with pytest.raises(CheckpointError, match="not replaced"):
                ask(tmp_path / name)
    assert (tmp_path / "run" / "mine.txt").read_text() == "kept" and (tmp_path / "file").read_text() == "kept"
    (tmp_path / "empty").mkdir()
    write_run(tmp_path / "empty", outcome(), WHENCE)
    assert read_run(tmp_path / "empty").results


def test_a_write_that_fails_leaves_the_old_run(tmp_path):
    write_run(tmp_path / "run", outcome(), WHENCE)
    with pytest.raises(TypeError):
        write_run(tmp_path / "run", outcome(t2i_r1=object()), WHENCE)
    assert read_run(tmp_path / "run").results[0].metrics["t2i_r1"] == 12.5
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


def test_a_run_that_stepped_aside_is_found(tmp_path):
    write_run(tmp_path / "run", outcome(), WHENCE)
    (tmp_path / "run").rename(tmp_path / f"run{ASIDE}7")
    with pytest.raises(DataError, match="rename it to run"):
        read_run(tmp_path / "run")


def change(content, keys, value):
    *path, last = keys
    for key in path:
        content = content[key]
    if value is None:
        del content[last]
    else:
        content[last] = value


@pytest.mark.parametrize(
    "keys, value, said",
    [
        (["format"], 2, "format '2'"),
        (["format"], None, "no format"),
        (["results"], None, "no results"),
        (["results"], 5, "damaged"),
        (["results"], [], "no row"),
        (["results"], [1], "row"),
        (["results", 0, "metrics"], None, "metrics"),
        (["results", 0, "benchmark"], 7, "benchmark"),
        (["results", 1, "metrics", "spearman"], "<b>", "spearman"),
    ],
)
def test_a_damaged_run_is_told_in_one_sentence(tmp_path, keys, value, said):
    write_run(tmp_path / "run", outcome(), WHENCE)
    path = tmp_path / "run" / "result.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    change(content, keys, value)
    path.write_text(json.dumps(content), encoding="utf-8")
    with pytest.raises(DataError) as error:
        read_run(tmp_path / "run")
    assert said in str(error.value) and str(path) in str(error.value) and "\n" not in str(error.value)


def test_what_is_no_run_folder_is_told(tmp_path):
    for content in ("{", "\udcff".encode("utf-8", "surrogateescape"), "[" * 100_000):
        (tmp_path / "result.json").write_bytes(content if isinstance(content, bytes) else content.encode())
        with pytest.raises(DataError, match="is damaged: .*(not valid JSON|not UTF-8|as JSON)"):
            read_run(tmp_path)
    with pytest.raises(DataError, match="not a run folder"):
        read_run(tmp_path / "nothing")


def test_json_of_an_editor_is_read(tmp_path):
    """A byte order mark and CRLF line ends change nothing."""
    write_run(tmp_path / "run", outcome(), WHENCE)
    path = tmp_path / "run" / "result.json"
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_run(tmp_path / "run").results[0].notes == ("one 图",)


@pytest.fixture
def model(tmp_path, tiny_config, tiny_vocab):
    """Function (name, seed) -> a model directory with weights of that seed."""

    def save(name, seed=0):
        state = {key: standin_tensor(key, shape, seed) for key, shape in release_layout.manifest(tiny_config).items()}
        save_model(tmp_path / name, state, tiny_config, tiny_vocab)
        return tmp_path / name

    return save


def test_provenance_tells_models_data_and_options_apart(model):
    one, two = model("one"), model("two", seed=1)
    told = provenance(["tools/eval.py", "--input", "my data"], one, "d" * 64, {"batch": 8, "protocol": "both"})
    assert told["command"] == "tools/eval.py --input 'my data'" and told["data_sha256"] == "d" * 64
    assert told["model_sha256"] == "header-sha256:" + header_digest(one / "model.safetensors")
    assert told["model_sha256"] != provenance([""], two, "d", {})["model_sha256"]
    assert set(told["versions"]) == {"ernie_vil2", "paddle", "openvino", "numpy", "opencv", "python"}
    told["versions"].pop("openvino")  # need not be installed
    assert told["versions"]["numpy"] == np.__version__ and all(told["versions"].values())
    same = provenance(["x"], two, "d", {"protocol": "both", "batch": 8})
    other = provenance(["x"], one, "d", {"protocol": "both", "batch": 9})
    assert told["config_sha256"] == same["config_sha256"] != other["config_sha256"]
    assert provenance(["x"], None, "d", {})["model_sha256"] is None
    assert str(one.parent) not in json.dumps(told)


def test_a_pdparams_is_known_by_its_bytes(tmp_path, tiny_config):
    arrays = {key: standin_tensor(key, shape) for key, shape in release_layout.manifest(tiny_config).items()}
    path = tmp_path / "some.pdparams"
    write_pdparams(path, arrays)
    told = provenance(["x"], path, "d", {})
    assert told["model_sha256"] == "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    assert told["config_sha256"] != provenance(["x"], None, "d", {})["config_sha256"]


def test_provenance_of_something_that_is_no_model(tmp_path):
    with pytest.raises(CheckpointError, match="does not exist"):
        provenance(["x"], tmp_path / "nothing", "d", {})
    with pytest.raises(CheckpointError, match="not a model directory"):
        provenance(["x"], tmp_path, "d", {})


def test_the_place_of_a_program_is_not_told():
    assert command_line(["/somewhere/clone/tools/eval.py", "a b"]) == "tools/eval.py 'a b'"
    assert command_line(["/somewhere/bin/thing", "--x"]) == "thing --x"
    assert command_line(["ernie-vil2 eval", "coco cn"]) == "ernie-vil2 eval 'coco cn'"
    assert command_line([sys.argv[0], "/data/x"]).endswith(" /data/x")

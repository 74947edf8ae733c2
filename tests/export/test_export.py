"""What is exported computes what the model does, says how, and is there whole or not at all."""

import copy
import errno
import json
import os

import numpy as np
import pytest

import ernie_vil2
from ernie_vil2.data.sources.open import open_source
from ernie_vil2.errors import CheckpointError, ConfigError, DataError
from ernie_vil2.export import description as describing
from ernie_vil2.export import export as exporting
from ernie_vil2.export import graph_targets, parity
from ernie_vil2.export.export import export
from ernie_vil2.export.targets import TARGETS
from ernie_vil2.inference.engines.self_test import unit_rows
from tests.inference.engines.towers import batches, dynamic

JOBS = [
    *(("openvino", name) for name in ("projected", "brivl aligned boxes", "cookie")),
    *(("paddle", name) for name in ("other", "brivl grid")),
]
BESIDE = {"export.json", "client.py", "requirements.txt"}
"""Files of every graph target"""


def read(folder):
    return json.loads((folder / "export.json").read_text(encoding="utf-8"))


def names(folder):
    return sorted(os.listdir(folder))


@pytest.mark.parametrize("to, name", JOBS)
def test_towers_of_every_system_compute_what_the_network_does(quick, directory, tmp_path, to, name):
    path, out = directory(name), tmp_path / "out"
    said = export(path, out, to)
    assert said[-1] == f"wrote {out}"
    model = ernie_vil2.load(path)
    runs = TARGETS[to].runs(model, out)
    for kind in ("image", "text"):
        given = list(batches(model.config, kind, model.most_boxes if kind == "image" else 0))
        wanted = [dynamic(model.network, kind, arrays) for arrays in given]
        assert np.ptp([rows[0] for rows in wanted], axis=0).max() > 1e-2, "inputs are told apart"
        for arrays, rows in zip(given, wanted, strict=True):
            found = runs[kind](*arrays)
            assert found.dtype == np.float32
            np.testing.assert_allclose(unit_rows(found), unit_rows(rows), rtol=0, atol=1e-5)


def test_the_folder_holds_what_its_description_says_and_no_more(quick, directory, tmp_path):
    export(directory("brivl boxes"), tmp_path / "out", "openvino")
    found, model = read(tmp_path / "out"), ernie_vil2.load(tmp_path / "model")
    listed = {*found["image"]["files"], *found["text"]["files"]}
    assert set(names(tmp_path / "out")) == BESIDE | listed and len(listed) == 4
    assert (found["format"], found["target"], found["system"], found["weights"]) == (1, "openvino", "brivl", "average")
    assert found["made_by"]["ernie_vil2"] == ernie_vil2.__version__
    assert found["embedding"] == {"width": 24, "normalise": True}
    assert found["logit_scale"]["value"] == pytest.approx(model.logit_scale)
    assert found["image"]["inputs"] == [
        {"name": "first", "dtype": "float32", "shape": ["batch", 3, 32, 32]},
        {"name": "boxes", "dtype": "float32", "shape": ["batch", 6, 4]},
        {"name": "counts", "dtype": "int64", "shape": ["batch"]},
    ]
    assert found["image"]["boxes"] == {"most": 5, "default": [[0, 0, 32, 32]]}
    assert found["text"]["inputs"] == [{"name": "first", "dtype": "int64", "shape": ["batch", 16]}]
    assert found["text"]["output"] == {"dtype": "float32", "shape": ["batch", 24]}


@pytest.mark.parametrize(
    "to, names", [("onnx", ("paddle2onnx", "onnx", "onnxruntime")), ("transformers", ("torch", "transformers"))]
)
def test_the_versions_of_what_a_target_is_made_with(monkeypatch, to, names):
    monkeypatch.setattr(describing, "installed_version", {name: f"{name} 1" for name in names}.get)
    assert describing.made_by(TARGETS[to]).items() >= {(name, f"{name} 1") for name in names}


def test_a_full_disk_of_temporary_files_is_told_and_not_the_exports(quick, directory, tmp_path, monkeypatch):
    path, before = directory("plain"), names(tmp_path)

    def full(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(exporting, "drawn_items", full)
    with pytest.raises(CheckpointError, match=r"cannot write .*ernie-vil2-export: No space .* \(nothing was written\)"):
        export(path, tmp_path / "out", "openvino")
    assert names(tmp_path) == before


def test_the_table_has_several_batches_and_lengths_and_is_printed_as_it_is_kept(quick, directory, tmp_path):
    said = export(directory("plain"), tmp_path / "out", "openvino")
    found = read(tmp_path / "out")["parity"]
    rows = [parity.Row(**row) for row in found["rows"]]
    arrays = [row for row in rows if row.given == "arrays"]
    assert {row.batch for row in arrays if row.tower == "image"} == {1, 3, 8}
    assert {(row.batch, row.length) for row in arrays if row.tower == "text"} == {
        (batch, length) for batch in (1, 3, 8) for length in (4, 10, 16)
    }
    assert found["bound"] == 1e-4 and all(0 <= row.difference < 1e-5 and row.cosine > 0.999999 for row in rows)
    assert parity.table(rows) == [line for line in said if not line.startswith("note: ")][:-1]


@pytest.mark.parametrize("to", ["openvino", "paddle"])
def test_the_client_makes_the_same_of_files_and_sentences_without_this_project(directory, tmp_path, to):
    said = export(directory("brivl boxes" if to == "openvino" else "plain"), tmp_path / "out", to)
    rows = [row for row in read(tmp_path / "out")["parity"]["rows"] if row["given"] == "client"]
    assert [(row["tower"], row["batch"], row["length"]) for row in rows] == [("image", 8, None), ("text", 8, 16)]
    assert all(row["difference"] < 1e-5 for row in rows) and "client" in said[-2]


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_description_that_lacks_something_is_found_by_the_client(directory, tmp_path, monkeypatch, kind):
    path, before = directory("plain"), names(tmp_path)
    whole = {"image": describing.pixels_description, "text": describing.tokens_description}[kind]

    def lacking(about):
        found = copy.deepcopy(whole(about))
        if kind == "image":
            found["mean"][0] += 0.01
        else:
            found["tokenizer"]["truncation"]["max_length"] -= 1
        return found

    monkeypatch.setattr(describing, whole.__name__, lacking)
    told = f"the client written for openvino does not compute what the {kind} tower does: .*so nothing was written"
    with pytest.raises(CheckpointError, match=told):
        export(path, tmp_path / "out", "openvino")
    assert names(tmp_path) == before


def test_a_client_that_fails_is_told_with_its_last_line(directory, tmp_path, monkeypatch):
    monkeypatch.setattr(
        graph_targets, "write_client", lambda folder, *_: (folder / "client.py").write_text("import no")
    )
    with pytest.raises(
        CheckpointError, match=r"does not run \(ModuleNotFoundError: No module named 'no'\), so nothing"
    ):
        export(directory("plain"), tmp_path / "out", "openvino")
    assert names(tmp_path) == ["model", "tiny_vocab.txt"]


@pytest.mark.parametrize("kind", ["image", "text"])
def test_a_wrong_graph_is_found_and_leaves_nothing(quick, directory, tmp_path, monkeypatch, kind):
    path, before = directory("plain"), names(tmp_path)
    write = graph_targets.OpenVinoTarget.write_graph

    def wrong(self, network, tower, most_boxes, folder):
        weight = network.visual.blocks[0].attn.proj.weight if tower == "image" else network.text_model.pooler.weight
        right = weight.numpy()
        weight.set_value(right * (1.02 if tower == kind else 1))
        write(self, network, tower, most_boxes, folder)
        weight.set_value(right)  # as it is in the model that the files are compared with

    monkeypatch.setattr(graph_targets.OpenVinoTarget, "write_graph", wrong)
    told = f"what was written for openvino does not compute what the {kind} tower does: .*so nothing was written"
    with pytest.raises(CheckpointError, match=told):
        export(path, tmp_path / "out", "openvino")
    assert names(tmp_path) == before


def test_embeddings_that_are_no_numbers_are_a_difference(directory):
    rows = [parity.compared("text", "arrays", 3, np.full((2, 4), np.nan, np.float32), np.ones((2, 4), np.float32))]
    with pytest.raises(CheckpointError, match="text tower does: embeddings of a batch of 2 differ by up to nan"):
        parity.refuse_difference(rows, "openvino")
    with pytest.raises(CheckpointError, match=r"gives embeddings of shape \[2, 3\] where the model gives \[2, 4\]"):
        parity.compared("text", "arrays", 3, np.ones((2, 3)), np.ones((2, 4)))


def test_a_shorter_and_a_longer_text_are_cut_where_the_export_says(quick, directory, tmp_path):
    for length in (7, 32):
        export(directory("plain"), tmp_path / f"{length}", "openvino", max_length=length)
        found = read(tmp_path / f"{length}")
        assert found["text"]["tokens"]["max_length"] == length
        assert (
            max(row["length"] for row in found["parity"]["rows"] if row["given"] == "arrays" and row["length"])
            == length
        )


def test_pictures_and_captions_of_the_users_own_are_what_it_is_tried_on(directory, tmp_path, image_bytes, random_image):
    path = directory("plain")
    lines = []
    for number in range(9):
        name = f"{number}.jpg"
        (tmp_path / name).write_bytes(image_bytes(random_image(40 + number, 60, number), "JPEG"))
        lines.append({"id": f"{number}", "image": name, "texts": ["猫" * (1 + number)]})
    lines[2]["image"], lines[3]["texts"] = "absent.jpg", [" "]
    source = tmp_path / "pairs.jsonl"
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(DataError, match="has 7 usable rows among its first 64, and the parity of an export needs 8"):
        export(path, tmp_path / "out", "openvino", source=open_source(source))
    assert not (tmp_path / "out").exists()
    lines.append({**lines[0], "id": "9"})
    source.write_text("".join(json.dumps(line) + "\n" for line in lines))
    export(path, tmp_path / "out", "openvino", source=open_source(source))
    lengths = [row["length"] for row in read(tmp_path / "out")["parity"]["rows"] if row["given"] == "client"]
    assert lengths == [None, 11]


def test_what_another_process_put_there_meanwhile_stays(quick, directory, tmp_path, monkeypatch):
    path, out = directory("plain"), tmp_path / "out"
    write = graph_targets.OpenVinoTarget.write

    def slow(self, model, folder):
        out.mkdir(exist_ok=True)
        (out / "export.json").write_text("theirs")
        return write(self, model, folder)

    monkeypatch.setattr(graph_targets.OpenVinoTarget, "write", slow)
    with pytest.raises(ConfigError, match="out was written by another process meanwhile; .* --replace to replace it"):
        export(path, out, "openvino")
    assert (out / "export.json").read_text() == "theirs" and names(tmp_path) == ["model", "out", "tiny_vocab.txt"]
    export(path, tmp_path / "new", "openvino", replace=True)

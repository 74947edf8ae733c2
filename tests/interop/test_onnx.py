"""The target `onnx`: every kind of tower computes in ONNX Runtime what the network does, and its client what we do."""

import json
from dataclasses import replace

import numpy as np
import onnx
import pytest

import ernie_vil2
from ernie_vil2.checkpoints.model_directory import save_model
from ernie_vil2.cli.export import main
from ernie_vil2.config.model import PIXEL_PROFILES
from ernie_vil2.device import float32_copy
from ernie_vil2.export import onnx_graph
from ernie_vil2.export.client_process import client_embeddings
from ernie_vil2.export.parity_inputs import drawn_items
from ernie_vil2.inference.engines.self_test import unit_rows
from ernie_vil2.systems.registry import system_class
from tests.inference.engines.towers import BRIVL, CONFIGS, PLAIN, batches, dynamic, network

BOXED = replace(BRIVL, pixels=replace(PIXEL_PROFILES["brivl"], size=32))


def most_boxes(config, kind):
    return system_class(config.system).most_boxes(config) if kind == "image" else 0


@pytest.mark.parametrize("name", CONFIGS)
def test_a_tower_computes_what_the_network_does(name, tmp_path):
    config, found = CONFIGS[name], network(CONFIGS[name])
    for kind in config.towers():
        most = most_boxes(config, kind)
        onnx_graph.write_graph(found, kind, most, tmp_path / "tower.onnx")
        run = onnx_graph.onnx_run(tmp_path / "tower.onnx")
        given = list(batches(config, kind, most))
        wanted = [dynamic(found, kind, arrays) for arrays in given]
        assert np.ptp([rows[0] for rows in wanted], axis=0).max() > 1e-2, "inputs are told apart"
        for arrays, rows in zip(given, wanted, strict=True):
            np.testing.assert_allclose(unit_rows(run(*arrays)), unit_rows(rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("config", [PLAIN, BOXED], ids=["plain", "boxed"])
def test_an_export_and_its_client(config, tmp_path, tiny_vocab, capfd):
    state = {key: float32_copy(value) for key, value in network(config).state_dict().items()}
    save_model(tmp_path / "model", state, config, tiny_vocab)
    main([str(tmp_path / "model"), str(tmp_path / "out"), "--to", "onnx"])
    said = capfd.readouterr()
    assert said.err == "" and said.out.splitlines()[0].split()[0] == "tower", "paddle2onnx is not heard"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "client.py",
        "export.json",
        "image.onnx",
        "requirements.txt",
        "text.onnx",
    ]
    items = drawn_items(tmp_path)
    found = client_embeddings(tmp_path / "out", items, ("ernie_vil2", "paddle", "onnx"))
    model = ernie_vil2.load(tmp_path / "model", engine="paddle")
    np.testing.assert_allclose(found["image"], model.encode_image(list(items.pictures)), rtol=0, atol=2e-6)
    np.testing.assert_allclose(found["text"], model.encode_text(list(items.texts)), rtol=0, atol=2e-6)


def test_inputs_are_named_as_the_description_says(tmp_path, tiny_vocab):
    state = {key: float32_copy(value) for key, value in network(BOXED).state_dict().items()}
    save_model(tmp_path / "model", state, BOXED, tiny_vocab)
    main([str(tmp_path / "model"), str(tmp_path / "out"), "--to", "onnx"])
    about = json.loads((tmp_path / "out" / "export.json").read_text(encoding="utf-8"))
    for kind in ("image", "text"):
        graph = onnx.load(tmp_path / "out" / about[kind]["files"][0]).graph
        said = [(given["name"], given["shape"]) for given in about[kind]["inputs"]]
        assert [(value.name, shape(value)) for value in graph.input] == said
        assert [shape(value) for value in graph.output] == [about[kind]["output"]["shape"]]


def shape(value):
    return [size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim]

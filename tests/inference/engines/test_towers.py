"""Every kind of tower computes the same on every engine, for any number of items and any length."""

import importlib

import numpy as np
import pytest

from ernie_vil2.inference.engines.self_test import unit_rows
from ernie_vil2.systems.registry import system_class
from tests.inference.engines.towers import CONFIGS, adapted, batches, dynamic, merged, network

ENGINES = {"openvino": "openvino_engine.OpenVinoEngine", "paddle_inference": "paddle_inference.PaddleInferenceEngine"}


@pytest.fixture(params=list(ENGINES))
def made(request, tmp_path):
    """Function (network, kind, precision="fp32") -> the engine of a tower."""
    module, _, name = ENGINES[request.param].partition(".")
    module = importlib.import_module(f"ernie_vil2.inference.engines.{module}")

    def make(found, kind, precision="fp32"):
        folder = tmp_path / kind
        folder.mkdir()
        most_boxes = boxes_of(found, kind)
        module.write_graph(found, kind, most_boxes, folder)
        return getattr(module, name)(folder, precision, most_boxes > 0)

    return make


def boxes_of(found, kind):
    return system_class(found.config.system).most_boxes(found.config) if kind == "image" else 0


def check(found, made):
    for kind in found.config.towers():
        engine = made(found, kind)
        given = list(batches(found.config, kind, boxes_of(found, kind)))
        wanted = [dynamic(found, kind, arrays) for arrays in given]
        assert np.ptp([rows[0] for rows in wanted], axis=0).max() > 1e-2, "inputs are told apart"
        for workers in (1, 2):
            with engine.session(workers) as session:
                for arrays, rows in zip(given, wanted, strict=True):
                    made_rows = session.run(*arrays)
                    assert made_rows.dtype == np.float32
                    np.testing.assert_allclose(unit_rows(made_rows), unit_rows(rows), rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", CONFIGS)
def test_a_tower_computes_what_the_network_does(made, name):
    check(network(CONFIGS[name]), made)


@pytest.mark.parametrize("make", [adapted, merged])
def test_low_rank_updates_are_in_the_graph(made, make):
    check(make(), made)

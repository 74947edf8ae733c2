"""Paddle Inference by itself: precision, threads, and a graph that cannot be read."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ernie_vil2.device import Device
from ernie_vil2.errors import CheckpointError
from ernie_vil2.inference.engines.paddle_inference import PaddleInferenceEngine, write_graph
from ernie_vil2.inference.engines.processor import this_processor
from ernie_vil2.inference.engines.self_test import unit_rows
from tests.inference.engines.towers import PLAIN, batches, dynamic, network


@pytest.fixture
def graph(tmp_path):
    """(network, folder of the graph of its text tower)"""
    found = network(PLAIN)
    write_graph(found, "text", 0, tmp_path)
    return found, tmp_path


@pytest.mark.skipif(not this_processor().bf16, reason="a processor without fast bf16")
def test_bf16_is_near_and_not_the_same(graph):
    found, folder = graph
    with PaddleInferenceEngine(folder, "bf16").session(1) as session:
        for arrays in batches(PLAIN, "text"):
            cosine = (unit_rows(session.run(*arrays)) * unit_rows(dynamic(found, "text", arrays))).sum(1)
            assert (cosine > 0.999).all() and np.abs(cosine - 1).max() > 1e-7


def test_many_threads_call_few_predictors(graph, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    found, folder = graph
    given = list(batches(PLAIN, "text")) * 8
    wanted = [dynamic(found, "text", arrays) for arrays in given]
    with PaddleInferenceEngine(folder, "fp32").session(2) as session, ThreadPoolExecutor(6) as pool:
        for made, rows in zip(pool.map(lambda arrays: session.run(*arrays), given), wanted, strict=True):
            np.testing.assert_allclose(made, rows, rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    "name, content", [("tower.json", b"{"), ("tower.json", None), ("tower.pdiparams", None), ("tower.pdiparams", b"x")]
)
def test_a_graph_that_cannot_be_read_is_one_sentence(graph, name, content):
    _, folder = graph
    (folder / name).unlink()
    if content is not None:
        (folder / name).write_bytes(content)
    with pytest.raises(CheckpointError, match="^Paddle Inference cannot read [^\n]*remove that folder[^\n]*$"):
        with PaddleInferenceEngine(folder, "fp32").session(1):
            pass


def test_a_card_has_one_worker_and_its_own_number(graph):
    engine = PaddleInferenceEngine(graph[1], "bf16")
    engine.device = Device("gpu", 0)
    assert engine.most_workers == 1

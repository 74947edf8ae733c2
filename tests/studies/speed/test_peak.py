"""The peak is that of products which really run at the precision, and which give what they should."""

import numpy as np
import pytest

from ernie_vil2.errors import UserError
from ernie_vil2.studies.speed.turns import peak

openvino = pytest.importorskip("openvino")
ROWS, WIDTH = 64, 128
EXACTNESS = {"fp32": 1e-4, "bf16": 0.1, "int8": 0.5}
"""{precision: by how much the last product may differ, of values of about 1}"""


@pytest.fixture(scope="module")
def core():
    return openvino.Core()


@pytest.mark.parametrize("precision", EXACTNESS)
def test_products_run_at_their_precision_and_are_right(core, precision):
    if peak.CAPABILITIES[precision] not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        pytest.skip(f"this processor does not compute in {precision}")
    x = np.random.default_rng(1).standard_normal((ROWS, WIDTH), np.float32)
    graph = peak.compiled(core, precision, ROWS, WIDTH)
    nodes = [node.get_rt_info() for node in graph.get_runtime_model().get_ops()]
    products = [
        str(node["runtimePrecision"].value) for node in nodes if node["layerType"].value in ("FullyConnected", "MatMul")
    ]
    wanted = {"fp32": {"f32"}, "bf16": {"bf16"}, "int8": {"u8", "i8"}}[precision]
    assert len(products) == peak.LAYERS and set(products) <= wanted
    rng, expected = np.random.default_rng(0), x
    for _ in range(peak.LAYERS):
        expected = expected @ (rng.standard_normal((WIDTH, WIDTH), np.float32) * np.float32(WIDTH**-0.5))
    (found,) = graph.create_infer_request().infer([x]).values()
    assert np.abs(found - expected).max() < EXACTNESS[precision]


def test_operations_are_those_of_the_chain(monkeypatch, core):
    monkeypatch.setattr(peak, "seconds", lambda call: 0.5)
    assert peak.rate(core, "fp32", ROWS, WIDTH) == 2 * 2 * peak.LAYERS * ROWS * WIDTH * WIDTH


def test_a_precision_that_the_processor_lacks_is_one_sentence(monkeypatch):
    monkeypatch.setitem(peak.CAPABILITIES, "bf16", "NOWHERE")
    with pytest.raises(UserError, match="^this processor does not compute in bf16$"):
        peak.measured("bf16")

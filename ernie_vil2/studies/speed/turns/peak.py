"""The matrix peak of this machine at a precision: operations a second of large products, in OpenVINO, on all cores.

A graph is a chain of products with constant weights. In int8 every product reads 8-bit values, as those of a quantised
engine do, and the rounding between two products is part of the chain.
"""

import statistics
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ....errors import UserError
from ....runtime import cpu_count
from .answers import converse, seconds

if TYPE_CHECKING:
    import openvino

START = "from ernie_vil2.studies.speed.turns import peak; peak.main()"
SHAPES = ((2048, 1024), (1576, 768))
"""(rows, width) of what is multiplied by width x width: a large one, and that of the base size in batches of 8"""
LAYERS = 8
TURNS = 5
BOUND = 4.0
"""In int8, values beyond so many deviations are cut off"""
LEVELS = 256
CAPABILITIES = {"fp32": "FP32", "bf16": "BF16", "int8": "INT8"}
"""{precision: how OpenVINO says that the processor has it}"""
HINTS = {"fp32": "f32", "bf16": "bf16", "int8": "f32"}
"""{precision: what OpenVINO is told to compute in, apart from what the graph itself says to be int8}"""


def measured(precision: str) -> float:
    """Operations a second, the better of SHAPES, each a median; UserError where the processor lacks the precision."""
    import openvino

    core = openvino.Core()
    if CAPABILITIES[precision] not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
        raise UserError(f"this processor does not compute in {precision}")
    return max(rate(core, precision, *shape) for shape in SHAPES)


def rate(core: "openvino.Core", precision: str, rows: int, width: int) -> float:
    """Operations a second of products [rows, width] x [width, width]."""
    request = compiled(core, precision, rows, width).create_infer_request()
    x = np.random.default_rng(0).standard_normal((rows, width), np.float32)
    request.infer([x], share_inputs=True)
    took = [seconds(lambda: request.infer([x], share_inputs=True)) for _ in range(TURNS)]
    return 2 * LAYERS * rows * width**2 / statistics.median(took)


def compiled(core: "openvino.Core", precision: str, rows: int, width: int) -> "openvino.CompiledModel":
    """The chain of products, ready to run on all cores."""
    settings = {
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_NUM_THREADS": cpu_count(),
        "INFERENCE_PRECISION_HINT": HINTS[precision],
    }
    return core.compile_model(chain(rows, width, precision == "int8"), "CPU", settings)


def chain(rows: int, width: int, quantised: bool) -> "openvino.Model":
    """A graph of LAYERS products, whose values keep their size."""
    import openvino
    from openvino import opset13 as ops

    rng, bound = np.random.default_rng(0), np.float32(BOUND)
    x = given = ops.parameter([rows, width], np.float32)
    for _ in range(LAYERS):
        weight = rng.standard_normal((width, width), np.float32)
        scale = np.float32(width**-0.5)
        if quantised:
            x = ops.fake_quantize(x, -bound, bound, -bound, bound, LEVELS)
            most = np.iinfo(np.int8).max
            whole = np.clip(np.rint(weight * (most / BOUND)), -most, most).astype(np.int8)
            factor = ops.multiply(ops.convert(ops.constant(whole), "f32"), ops.constant(scale * bound / most))
        else:
            factor = ops.constant(weight * scale)
        x = ops.matmul(x, factor, False, False)
    return openvino.Model([x], [given], "peak")


def begin(job: Mapping[str, Any]) -> tuple[str, Callable[[str], float]]:
    """Ready, where OpenVINO is installed; a request is a precision."""
    import openvino

    return openvino.__version__, measured


def main() -> None:
    """The process that measures the peak."""
    converse(begin)

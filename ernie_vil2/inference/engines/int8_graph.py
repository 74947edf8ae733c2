"""The graph of a tower in int8: NNCF's quantisation after training, with its preset for transformers.

Weights are int8 a channel, inputs of matrix products int8 a tensor, in ranges that calibration has seen; SmoothQuant
first moves outliers of channels from inputs to weights. Sources: docs.openvino.ai, "Basic Quantization Flow";
arXiv 2211.10438 for SmoothQuant.
"""

import contextlib
import importlib.util
import io
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING

from ...errors import ConfigError
from ...threads import note_computing
from .calibration import Batches

if TYPE_CHECKING:
    import openvino as ov

NNCF = "nncf"
INSTALL = "install it with: pip install -r requirements-quantize.txt"
UNREPORTED = "NNCF_CI"
"""A variable of the environment with which NNCF does not report its use to its makers"""


def check_installed() -> None:
    """ConfigError unless there is what quantises."""
    if importlib.util.find_spec(NNCF) is None:
        raise ConfigError(f"quantizing needs {NNCF}, which is not installed; {INSTALL}")


def write_int8(graph: Path, batches: Batches, target: Path) -> None:
    """Write the int8 form of a graph, calibrated on batches of what it takes; ConfigError without NNCF."""
    check_installed()
    os.environ.setdefault(UNREPORTED, "1")
    import nncf
    import openvino as ov
    from openvino.passes import ConstantFolding, Manager

    note_computing()
    model = ov.Core().read_model(graph)
    folding = Manager()
    folding.register_pass(ConstantFolding())  # NNCF takes axes of a weight from its shape before a Reshape otherwise
    folding.run_passes(model)
    nncf.set_log_level(logging.ERROR)
    names = [node.any_name for node in model.inputs]
    dataset = nncf.Dataset(batches, lambda arrays: dict(zip(names, arrays, strict=True)))
    with contextlib.redirect_stdout(io.StringIO()):  # bars, which are drawn wherever they go
        found = nncf.quantize(
            model,
            dataset,
            model_type=nncf.ModelType.TRANSFORMER,
            subset_size=len(batches),
            ignored_scope=nncf.IgnoredScope(names=products_of_data(model), validate=False),
        )
    ov.save_model(found, target, compress_to_fp16=False)


def products_of_data(model: "ov.Model") -> list[str]:
    """Names of the matrix products without weights, those of attention, which stay in floating point: with one of their
    inputs in int8 and the rest in bf16, OpenVINO 2026.4 computes attention over 32 tokens wrongly."""
    return [
        node.get_friendly_name()
        for node in model.get_ordered_ops()
        if node.get_type_name() == "MatMul"
        and all(source.get_node().get_type_name() != "Constant" for source in node.input_values())
    ]

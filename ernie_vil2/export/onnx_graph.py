"""A tower as an ONNX file: Paddle's own program of it, translated by paddle2onnx and named as this project names.

paddle2onnx 2.1.0 knows every operation that the layers of `models/` call, so nothing is translated here; it wants
onnx up to 1.17 and writes opset 17. Its Python wrapper logs an error and goes on without a graph, so what is called is
the function beneath it.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..config.model import ModelConfig
from ..config.model_size import parameters
from ..errors import CheckpointError, ConfigError
from ..files.leftovers import scratch_folder
from ..inference.engines.engine import Run
from ..inference.engines.paddle_inference import GRAPH
from ..inference.engines.paddle_inference import write_graph as write_program
from ..runtime import STDERR, STDOUT, unheard
from ..threads import thread_count

if TYPE_CHECKING:
    import onnx
    import paddle

OPSET = 17
LARGEST = 2**31 - 2**20
"""Bytes of the weights in one file: a message of protobuf holds under 2 GiB, of which the graph itself needs some"""
OUTPUT = "embedding"
FLOAT = np.dtype(np.float32).itemsize
AXES = ("batch", "length")


def check_size(config: ModelConfig) -> None:
    """ConfigError for a tower that is too large for one file."""
    for kind, tower in config.towers().items():
        size = parameters(tower) * FLOAT
        if size > LARGEST:
            raise ConfigError(too_large(kind, size))


def too_large(kind: str, size: int) -> str:
    return (
        f"the {kind} tower has {size / 2**30:.1f} GiB of weights in fp32, and an ONNX file holds under 2 GiB; export "
        "it with --to openvino or --to paddle"
    )


def write_graph(network: "paddle.nn.Layer", kind: str, most_boxes: int, path: Path) -> None:
    """Write the graph of a tower, weights in fp32, for any batch and length, to a file.

    Raises CheckpointError for one that is too large, and what Paddle, paddle2onnx or the checker of onnx raise.
    """
    import onnx
    from paddle2onnx.paddle2onnx_cpp2py_export import export

    with scratch_folder("onnx") as scratch:
        write_program(network, kind, most_boxes, scratch)
        program, weights = scratch / f"{GRAPH}.json", scratch / f"{GRAPH}.pdiparams"
        if (size := weights.stat().st_size) > LARGEST:
            raise CheckpointError(too_large(kind, size))
        checked, experimental, optimised, none = False, True, True, {}
        settings = (OPSET, False, False, checked, experimental, optimised, none, "onnxruntime", "", "", False)
        with unheard(STDOUT, STDERR):
            made = export(str(program), str(weights), *settings)
    model = onnx.load_model_from_string(made)
    rename(model, kind)
    leave_out_unread(model)
    onnx.checker.check_model(model)
    onnx.save_model(model, path)


def rename(model: "onnx.ModelProto", kind: str) -> None:
    """Give the graph, its result and its open axes names that mean something."""
    model.graph.name = kind
    (result,) = model.graph.output
    for node in model.graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                if name == result.name:
                    names[place] = OUTPUT
    result.name = OUTPUT
    for value in (*model.graph.input, result):
        for axis, size in open_axes(value):
            size.dim_param = AXES[axis]


def leave_out_unread(model: "onnx.ModelProto") -> None:
    """Leave out what no operation reads, such as the axes that paddle2onnx made attributes of: ONNX Runtime would warn
    of it whenever it opens the file. The nodes stand in the order in which they are computed."""
    read = {OUTPUT}
    for place in reversed(range(len(model.graph.node))):
        node = model.graph.node[place]
        if read.intersection(node.output):
            read.update(node.input)
        else:
            del model.graph.node[place]
    for place in reversed(range(len(model.graph.initializer))):
        if model.graph.initializer[place].name not in read:
            del model.graph.initializer[place]


def open_axes(value: "onnx.ValueInfoProto") -> Iterator[tuple[int, "onnx.TensorShapeProto.Dimension"]]:
    """(number, size) of the axes of an input or output that are open."""
    for axis, size in enumerate(value.type.tensor_type.shape.dim):
        if size.WhichOneof("value") != "dim_value":
            yield axis, size


def onnx_run(path: Path) -> Run:
    """The Run of a graph in a file, by ONNX Runtime on a CPU."""
    import onnxruntime

    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = thread_count()
    session = onnxruntime.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]

    def run(*arrays: np.ndarray) -> np.ndarray:
        (found,) = session.run(None, dict(zip(names, arrays, strict=True)))
        return found

    return run

"""A traced tower as an OpenVINO model."""

from typing import Any

import numpy as np
import openvino as ov
import openvino.opset13 as ops

from . import openvino_operations as known
from .openvino_operations import Call, Node, Translation, Untranslatable, of_one, of_two, reduced
from .tracing import Trace

IDENTITIES = ("pd_op.dropout", "pd_op.assign", "pd_op.share_data_", "pd_op.share_data", "pd_op.memcpy_h2d")
"""Operations that do nothing in evaluation"""
UNSEEN = ("builtin.shadow_output", "pd_op.fetch")
TRANSLATIONS: dict[str, Translation] = {
    "matmul": known.matmul,
    "reshape": known.reshape,
    "flatten": known.flatten,
    "slice": known.slices,
    "expand": known.expand,
    "full": known.full,
    "full_with_tensor": known.full_with_tensor,
    "assign_value": known.assign_value,
    "assign_value_": known.assign_value,
    "arange": known.arange,
    "scale": known.scale,
    "layer_norm": known.layer_norm,
    "batch_norm": known.batch_norm,
    "batch_norm_": known.batch_norm,
    "conv2d": known.convolution,
    "depthwise_conv2d": known.convolution,
    "clip": known.clip,
    "pad": known.pad,
    "sum": reduced(ops.reduce_sum),
    "mean": reduced(ops.reduce_mean),
    "max": reduced(ops.reduce_max),
    "full_int_array": lambda call: ops.constant(np.asarray(call["value"], call.number_type())),
    "shape64": of_one(lambda x: ops.shape_of(x, ov.Type.i64)),
    "shape": of_one(lambda x: ops.shape_of(x, ov.Type.i32)),
    "transpose": lambda call: ops.transpose(call.x, known.integers(call["perm"])),
    "unsqueeze": lambda call: ops.unsqueeze(call.x, known.integers(call.constant(1).ravel())),
    "squeeze": lambda call: ops.squeeze(call.x, known.integers(call.constant(1).ravel())),
    "softmax": lambda call: ops.softmax(call.x, known.axis_of(call)),
    "swish": of_one(ops.swish),
    "silu": of_one(ops.swish),
    "gelu": lambda call: ops.gelu(call.x, "TANH" if call["approximate"] else "ERF"),
    "relu": of_one(ops.relu),
    "sigmoid": of_one(ops.sigmoid),
    "tanh": of_one(ops.tanh),
    "exp": of_one(ops.exp),
    "sqrt": of_one(ops.sqrt),
    "erf": of_one(ops.erf),
    "abs": of_one(ops.abs),
    "logical_not": of_one(ops.logical_not),
    "bitwise_not": of_one(ops.bitwise_not),
    "add": of_two(ops.add),
    "subtract": of_two(ops.subtract),
    "multiply": of_two(ops.multiply),
    "divide": of_two(ops.divide),
    "equal": of_two(ops.equal),
    "not_equal": of_two(ops.not_equal),
    "less_than": of_two(ops.less),
    "greater_than": of_two(ops.greater),
    "logical_and": of_two(ops.logical_and),
    "maximum": of_two(ops.maximum),
    "minimum": of_two(ops.minimum),
    "cast": lambda call: ops.convert(call.x, call.number_type()),
    "embedding": lambda call: ops.gather(call.inputs[1], call.inputs[0], known.integers([0])),
    "stack": lambda call: ops.concat(
        [ops.unsqueeze(part, known.integers([call["axis"]])) for part in call.x], call["axis"]
    ),
    "concat": lambda call: ops.concat(call.x, int(call.constant(1).reshape([])) % known.rank(call.x[0])),
    "tile": lambda call: ops.tile(call.x, known.shape_of_list(call.inputs[1])),
    "where": lambda call: ops.select(call.inputs[0], call.inputs[1], call.inputs[2]),
}
"""{Paddle's name, without its dialect: what it is here}; operations of lists are translated in `results_of`"""


def openvino_model(trace: Trace) -> ov.Model:
    """The model of a tower, with the trace's input names; Untranslatable for operations that are not known here."""
    nodes: dict[Any, Node | list[Node]] = {}
    inputs = {}
    for operation in trace.program.global_block().ops:
        name = operation.name()
        if name in UNSEEN:
            continue
        attributes = operation.attrs()
        if name == "builtin.parameter":
            found = [ops.constant(trace.weights[attributes["parameter_name"]])]
        elif name == "pd_op.data":
            key = attributes["name"]
            shape = ov.PartialShape([int(size) for size in attributes["shape"]])
            node = ops.parameter(shape, known.number_type(attributes["dtype"]), key)
            node.output(0).get_tensor().set_names({key})
            inputs[key] = node
            found = [node]
        else:
            operands = [nodes.get(value.id) if value.initialized() else None for value in operation.operands_source()]
            found = results_of(Call(name, attributes, operands))
        for value, node in zip(operation.results(), found, strict=False):  # statistics of a norm are read by nobody
            nodes[value.id] = node
    absent = [name for name in trace.inputs if name not in inputs]
    if absent:
        raise Untranslatable(f"a network that does not read its {', '.join(absent)}")
    return ov.Model([nodes[trace.result.id]], [inputs[name] for name in trace.inputs], "tower")


def results_of(call: Call) -> list[Node | list[Node]]:
    """The nodes of an operation's results."""
    if call.name == "builtin.combine":
        return [list(call.inputs)]
    if call.name == "builtin.split":
        return list(call.x)
    if call.name in IDENTITIES:
        return [call.x]
    name = call.name.removeprefix("pd_op.")
    if name == "unbind":
        axis = known.axis_of(call)
        parts = (
            call.x.get_partial_shape() if hasattr(call.x, "get_partial_shape") else call.x.get_output_partial_shape(0)
        )
        split = ops.split(call.x, ops.constant(np.int64(axis)), parts[axis].get_length())
        return [[ops.squeeze(part, known.integers([axis])) for part in split.outputs()]]
    if name in ("split", "split_with_num"):
        axis = int(call.constant(len(call.inputs) - 1).reshape([])) % known.rank(call.x)
        if name == "split":
            split = ops.variadic_split(call.x, ops.constant(np.int64(axis)), known.integers(call.constant(1).ravel()))
        else:
            split = ops.split(call.x, ops.constant(np.int64(axis)), call["num"])
        return [list(split.outputs())]
    translation = TRANSLATIONS.get(name)
    if translation is None or not call.name.startswith("pd_op."):
        raise Untranslatable(f"the operation {call.name}")
    return [translation(call)]

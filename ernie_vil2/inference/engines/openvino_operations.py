"""Operations of a Paddle program in terms of OpenVINO's operation set.

Each function takes the call, its inputs as OpenVINO nodes (a list of nodes for a list of values) and returns the node
of its first result. What Paddle gives as a tensor of fixed numbers, such as axes and shapes, is a Constant.
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import openvino.opset13 as ops
from openvino import Type

TYPES = {
    "FLOAT32": np.float32,
    "FLOAT64": np.float64,
    "INT32": np.int32,
    "INT64": np.int64,
    "BOOL": np.bool_,
    "UINT8": np.uint8,
}
Node = Any
Translation = Callable[["Call"], Node]


class Untranslatable(Exception):
    """A program has something that is not known here; its text says what."""


class Call:
    """One operation of a program: its name, attributes, and inputs as OpenVINO nodes."""

    def __init__(self, name: str, attributes: dict[str, Any], inputs: Sequence[Node | list[Node] | None]):
        self.name, self.attributes, self.inputs = name, attributes, inputs

    def __getitem__(self, attribute: str) -> Any:
        return self.attributes[attribute]

    @property
    def x(self) -> Node:
        """The first input."""
        return self.inputs[0]

    def constant(self, position: int) -> np.ndarray:
        """The fixed numbers of an input; Untranslatable where they depend on the data."""
        found = fixed(self.inputs[position])
        if found is None:
            raise Untranslatable(f"{self.name} with input {position} that depends on the data")
        return found

    def number_type(self) -> type:
        """The NumPy type of the attribute dtype."""
        return number_type(self["dtype"])


def number_type(kind: Any) -> type:
    """The NumPy type of one of Paddle's."""
    name = str(kind).rpartition(".")[2].upper()
    if name not in TYPES:
        raise Untranslatable(f"numbers of type {name.lower()}")
    return TYPES[name]


def fixed(node: Node) -> np.ndarray | None:
    """The numbers of a Constant, or None."""
    source = node.get_node() if hasattr(node, "get_node") else node
    return source.data.copy() if source.get_type_name() == "Constant" else None


def rank(node: Node) -> int:
    """How many axes a node has."""
    shape = node.get_output_partial_shape(0) if hasattr(node, "get_output_partial_shape") else node.get_partial_shape()
    return shape.rank.get_length()


def integers(values: Sequence[int]) -> Node:
    """A Constant of axes, a shape or places."""
    return ops.constant(np.asarray(values, np.int64))


def axis_of(call: Call, name: str = "axis") -> int:
    """An attribute that is an axis, counted from the front."""
    return call[name] % rank(call.x)


def matmul(call: Call) -> Node:
    return ops.matmul(call.inputs[0], call.inputs[1], call["transpose_x"], call["transpose_y"])


def scalar(node: Node) -> Node:
    """A single number without axes, however many it comes with."""
    return ops.reshape(node, integers([]), False)


def shape_of_list(node: Node | list[Node]) -> Node:
    """A shape given as one value, or as a list of single numbers."""
    if not isinstance(node, list):
        return ops.convert(node, Type.i64)
    return ops.concat([ops.reshape(ops.convert(part, Type.i64), integers([1]), False) for part in node], 0)


def reshape(call: Call) -> Node:
    return ops.reshape(call.x, shape_of_list(call.inputs[1]), True)  # a 0 copies a length, as in Paddle


def flatten(call: Call) -> Node:
    start, stop = axis_of(call, "start_axis"), axis_of(call, "stop_axis")
    after = call.x.get_partial_shape() if hasattr(call.x, "get_partial_shape") else call.x.get_output_partial_shape(0)
    tail = [after[axis] for axis in range(stop + 1, rank(call.x))]
    if any(part.is_dynamic for part in tail):
        raise Untranslatable("flatten before an axis of unknown length")
    return ops.reshape(call.x, integers([0] * start + [-1] + [part.get_length() for part in tail]), True)


def slices(call: Call) -> Node:
    starts, stops = call.inputs[1], call.inputs[2]
    starts, stops = shape_of_list(starts), shape_of_list(stops)
    axes = list(call["axes"])
    found = ops.slice(call.x, starts, stops, integers([1] * len(axes)), integers(axes))
    gone = list(call["decrease_axis"])
    return ops.squeeze(found, integers(gone)) if gone else found


def expand(call: Call) -> Node:
    """A -1 in the shape keeps a length, and 1 broadcasts to the same."""
    shape = shape_of_list(call.inputs[1])
    return ops.broadcast(call.x, ops.maximum(shape, integers([1])), broadcast_spec="BIDIRECTIONAL")


def full(call: Call) -> Node:
    return ops.constant(np.full(list(call["shape"]), call["value"], call.number_type()))


def full_with_tensor(call: Call) -> Node:
    return ops.broadcast(scalar(ops.convert(call.x, call.number_type())), shape_of_list(call.inputs[1]))


def assign_value(call: Call) -> Node:
    values = np.array([getattr(value, "value", value) for value in call["values"]], call.number_type())
    return ops.constant(values.reshape(list(call["shape"])))


def arange(call: Call) -> Node:
    start, stop, step = map(scalar, call.inputs)
    return ops.range(start, stop, step, Type(call.number_type()).get_type_name())


def scale(call: Call) -> Node:
    """x * s + b, or (x + b) * s."""
    kind, bias = call.x.get_element_type(), call["bias"]
    factor = fixed(call.inputs[1])
    factor = call.inputs[1] if factor is None else ops.constant(np.asarray(factor).reshape([]).item(), kind)
    shift = ops.constant(bias, kind)
    if not call["bias_after_scale"]:
        return ops.multiply(ops.add(call.x, shift), factor) if bias else ops.multiply(call.x, factor)
    product = ops.multiply(call.x, factor)
    return ops.add(product, shift) if bias else product


def layer_norm(call: Call) -> Node:
    x, weight, bias = call.inputs
    axes = list(range(call["begin_norm_axis"], rank(x)))
    found = ops.mvn(x, integers(axes), True, call["epsilon"], "INSIDE_SQRT")
    found = found if weight is None else ops.multiply(found, weight)
    return found if bias is None else ops.add(found, bias)


def batch_norm(call: Call) -> Node:
    x, mean, variance, weight, bias = call.inputs
    return ops.batch_norm_inference(x, weight, bias, mean, variance, call["epsilon"])


def convolution(call: Call) -> Node:
    x, kernel = call.inputs[:2]
    same, pads = call["padding_algorithm"] == "SAME", list(call["paddings"])
    begin, end = (pads, pads) if len(pads) == 2 else (pads[0::2], pads[1::2])
    strides, dilations = list(call["strides"]), list(call["dilations"])
    padding = "SAME_UPPER" if same else "EXPLICIT"
    groups = call["groups"]
    if groups == 1:
        return ops.convolution(x, kernel, strides, begin, end, dilations, padding)
    outputs, inputs, height, width = fixed(kernel).shape
    grouped = ops.constant(fixed(kernel).reshape(groups, outputs // groups, inputs, height, width))
    return ops.group_convolution(x, grouped, strides, begin, end, dilations, padding)


def reduced(reduce: Callable[..., Node]) -> Translation:
    def translation(call: Call) -> Node:
        axes = call.constant(1) if len(call.inputs) > 1 else np.asarray(call["axis"])
        axes = axes.ravel() if axes.size else np.arange(rank(call.x))
        keep = call.attributes.get("keepdim", call.attributes.get("keep_dim", False))
        return reduce(call.x, integers(axes), keep)

    return translation


def clip(call: Call) -> Node:
    low, high = (ops.constant(call.constant(at).reshape([]).item(), call.x.get_element_type()) for at in (1, 2))
    return ops.minimum(ops.maximum(call.x, low), high)


def pad(call: Call) -> Node:
    """Paddle's pad of two numbers an axis."""
    pads = np.asarray(call["paddings"]).reshape(-1, 2)
    value = call.constant(1).reshape([]) if len(call.inputs) > 1 else np.asarray(call["pad_value"])
    value = ops.constant(value.item(), call.x.get_element_type())
    return ops.pad(call.x, integers(pads[:, 0]), integers(pads[:, 1]), "constant", value)


def of_two(function: Callable[..., Node]) -> Translation:
    return lambda call: function(call.inputs[0], call.inputs[1])


def of_one(function: Callable[..., Node]) -> Translation:
    return lambda call: function(call.x)

"""The graph of a tower: what its network calls, recorded by Paddle once, for any number of items.

The layers are called, not read: what they decide by Python is decided for evaluation on a CPU, and a low-rank update or
a frozen statistic is in the graph as it is in the network.
"""

import functools
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle

from ...config.model import ModelConfig
from ...device import float32_copy
from ...runtime import STDERR, unheard
from .dynamic import evaluation

LOCK = threading.Lock()
"""Paddle's switch between its two modes is one for the process"""
INPUTS = ("first", "boxes", "counts")
"""Names of what a program takes, in the order of an engine's arrays"""


class TowerFunction(paddle.nn.Layer):
    """One tower of a network as a layer of up to three inputs, as Paddle traces them."""

    def __init__(self, network: paddle.nn.Layer, kind: str):
        super().__init__()
        self.network = network
        encode = getattr(network, f"encode_{kind}")

        def call(*given):
            return encode(*(value for value in given if value is not None)).astype("float32")

        self.encode = paddle.jit.not_to_static(call)  # Paddle would rewrite the source of every layer otherwise

    def forward(
        self, first: paddle.Tensor, boxes: paddle.Tensor | None = None, counts: paddle.Tensor | None = None
    ) -> paddle.Tensor:
        """The tower's embeddings float32 [B, D]; of the source of this function Paddle makes its graph."""
        return self.encode(first, boxes, counts)


@dataclass(frozen=True)
class Trace:
    """A tower as a Paddle program.

    inputs: the names of the arrays that `encode` takes, in order; weights: {parameter name: array}; result: the value
    of the program that is the raw embedding [B, D].
    """

    program: Any
    inputs: tuple[str, ...]
    weights: dict[str, np.ndarray]
    result: Any


def input_specs(config: ModelConfig, kind: str, most_boxes: int = 0) -> list[paddle.static.InputSpec]:
    """What a tower takes: token ids [B, L]; or pixels [B, 3, S, S], and where it takes boxes these [B, most + 1, 4] and
    their counts [B]. L is open unless texts have a fixed length."""
    spec, (first, boxes, counts) = paddle.static.InputSpec, INPUTS
    if kind == "text":
        return [spec([-1, config.max_length if config.fixed_length else -1], "int64", first)]
    size = config.pixels.size
    regions = [spec([-1, most_boxes + 1, 4], "float32", boxes), spec([-1], "int64", counts)] if most_boxes else []
    return [spec([-1, 3, size, size], "float32", first), *regions]


def traced_function(network: paddle.nn.Layer, kind: str, most_boxes: int = 0) -> paddle.nn.Layer:
    """A tower as a layer that Paddle can save as a program; to be made inside of `tracing`."""
    specs = input_specs(network.config, kind, most_boxes)
    return paddle.jit.to_static(TowerFunction(network, kind), input_spec=specs, full_graph=True)


def doubled(x: paddle.Tensor) -> paddle.Tensor:
    """A function with an operation, from which Paddle makes the graph of `say_first_remark`."""
    return x + x


@functools.cache
def say_first_remark() -> None:
    """Let Paddle's C++ code remark on its own operators, as it does in the first graph of a process (3.3.1), where
    nobody reads it."""
    with unheard(STDERR):
        spec = paddle.static.InputSpec([1], "float32")
        paddle.jit.to_static(doubled, input_spec=[spec], full_graph=True).concrete_program  # noqa: B018


@contextmanager
def tracing(network: paddle.nn.Layer) -> Iterator[None]:
    """The one place of a process where a network is traced, in evaluation mode."""
    with LOCK, paddle.no_grad(), evaluation(network), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Tensor do not have 'place'")  # which `device_of` asks for
        say_first_remark()
        yield


def trace(network: paddle.nn.Layer, kind: str, most_boxes: int = 0) -> Trace:
    """The program of a tower; raises what Paddle raises for a network that cannot be traced."""
    with tracing(network):
        function = traced_function(network, kind, most_boxes)  # held: Paddle keeps a weak reference
        function.eval()
        found = function.forward.concrete_program
        weights = {
            tensor.name: float32_copy(tensor) if tensor.is_floating_point() else tensor.numpy()
            for tensor in found.parameters[0]
        }
    (result,) = found.outputs
    names = tuple(spec.name for spec in input_specs(network.config, kind, most_boxes))
    return Trace(found.main_program, names, weights, result)

"""Parts of a batch in threads of a CPU: each has all towers, rows of its own, and gradients of its own.

Most of Paddle's CPU kernels use one core, and image towers have several times the work of text towers: two towers side
by side leave a core idle, two halves of the batch do not. A replica of the system computes with the same memory of
weights; only the gradients are its own, so no two backward passes add to one, and they are added up when all are done.
"""

import copy
import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import paddle
from paddle import nn
from paddle.base.framework import EagerParamBase

from ..models.towers.batch_norm import learns_statistics
from ..systems.system import System
from ..threads import all_done, set_kernel_threads, thread_count
from .grad_cache import Part

MOST = 8
"""Lanes; each but the first holds a gradient of all that learns"""
WORTHWHILE = 1 << 27
"""Values of matrices times rows of a lane from which it saves more than its calls cost, which Python makes in turn"""


def may_divide(system: System) -> bool:
    """Whether rows can be encoded apart: the system says so, and no batch norm takes statistics of them all."""
    return system.divisible() and not any(map(learns_statistics, system.model.sublayers()))


def lane_count(system: System, rows: int) -> int:
    """How many lanes `rows` rows are worth, by the threads of this process and the size of the model alone, so that it
    is the same whenever a run is gone on with on this machine."""
    layers = [layer for layer in system.model.sublayers() if not isinstance(layer, nn.Embedding)]
    held = {id(value): value for layer in layers for value in layer.parameters(include_sublayers=False)}
    size = sum(math.prod(value.shape) for value in held.values() if value.ndim > 1)
    return max(1, min(thread_count(), MOST, rows, size * rows // WORTHWHILE))


def replica(system: System) -> System:
    """The system with a copy of its model whose parameters are tensors of their own, without memory yet."""
    tensors = {
        id(value): EagerParamBase(shape=value.shape, dtype=value.dtype, name=f"{value.name}.lane")
        for value in system.model.parameters()
    }
    tensors.update({id(value): value for value in system.model.buffers()})
    found = copy.copy(system)
    found.model = copy.deepcopy(system.model, tensors)
    return found


class Lanes:
    """`count` threads, each with a system: the given one, and replicas of it.

    The layers of the model must stay what they are when this is made; its weights may move, freeze and be freed.
    """

    def __init__(self, system: System, count: int) -> None:
        self.systems = [system, *(replica(system) for _ in range(count - 1))]
        self.parts = [Part(number, count) for number in range(count)]
        self.held = [found.model.parameters() for found in self.systems]
        self.layers = [found.model.sublayers(include_self=True) for found in self.systems]
        self.pool = ThreadPoolExecutor(count, "lane")

    def follow(self) -> None:
        """Let the replicas have the memory of the weights, learn what learns now, and forget a step that broke off; to
        be called before every step."""
        own, *others = self.held
        for parameters in others:
            for parameter, copied in zip(own, parameters, strict=True):
                parameter._share_buffer_to(copied)
                copied.stop_gradient, copied.grad = parameter.stop_gradient, None
        own, *others = self.layers
        for layers in others:
            for layer, copied in zip(own, layers, strict=True):
                copied.training = layer.training

    def each(self, work: Callable[[System, Part], Any]) -> list:
        """[work(system, part)] of every lane, side by side; each has its part of the kernel threads meanwhile."""

        def limited(system, part):
            set_kernel_threads(max(1, thread_count() // len(self.parts)))
            return work(system, part)

        try:
            return all_done(self.pool, limited, self.systems, self.parts)
        finally:
            set_kernel_threads(thread_count())

    def add_up(self) -> None:
        """Add the gradients of the replicas to those of the system, and let them go."""
        together = sorted(zip(*self.held, strict=True), key=lambda same: -int(same[0].size))

        def added(_, part):
            with paddle.no_grad():
                for same in together[part.number :: part.count]:
                    add_gradients(*same)

        self.each(added)


def add_gradients(parameter: paddle.Tensor, *copies: paddle.Tensor) -> None:
    """Move the gradients of copies of a parameter into its own."""
    for copied in copies:
        if copied.grad is None:
            continue
        if parameter.grad is None:
            parameter.grad = copied.grad
        else:
            parameter.grad.add_(copied.grad)
        copied.grad = None

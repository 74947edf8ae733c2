"""The time of a forward and of a backward pass, whatever computes them."""

from collections.abc import Callable, Mapping
from typing import Any

from ..turns.answers import seconds
from .work import Kernel

PASSES = 3
"""Of a kernel in a turn, the first of which is not counted"""
Pass = tuple[Callable[[], object], Callable[[], object]]
"""(a forward pass, the backward pass of the last one)"""


def answer(make: Callable[[Kernel], Pass]) -> Callable[[Mapping[str, Any]], list[float]]:
    """What a process answers to the fields of a Kernel: the least seconds of a forward and of a backward pass."""

    def measured(request: Mapping[str, Any]) -> list[float]:
        forward, backward = make(Kernel(**request))
        taken = [(seconds(forward), seconds(backward)) for _ in range(PASSES)][1:]
        return [min(times) for times in zip(*taken, strict=True)]

    return measured

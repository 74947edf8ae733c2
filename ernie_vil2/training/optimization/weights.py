"""All weights of a model in one flat fp32 buffer, of which its parameters are views.

What is done to every weight (a step, an average, a broadcast) is then a few kernels and not a loop over parameters.
Under O2 the buffer holds the master weights, and parameters are views of a second one of the low precision, rounded
from it: whatever is averaged, merged, evaluated or saved comes from the fp32 values.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import paddle
from paddle import nn
from paddle.nn.layer.norm import _BatchNormBase

from ...models.dual_encoder import Temperature
from ...models.lora import LoraLinear
from ...models.towers.batch_norm import is_statistic

ALIGNMENT = 128
"""Elements: cuBLAS wants matrices at multiples of 256 bytes, which are 128 values of bf16."""
KEPT = (Temperature, LoraLinear, nn.BatchNorm, _BatchNormBase)
"""Layers whose parameters stay fp32 under O2."""


@dataclass(frozen=True, eq=False)
class Span:
    """Where a parameter lies in the flat buffers, from `start` to `stop`; at `end` the next one may begin."""

    name: str
    parameter: paddle.Tensor
    start: int
    stop: int
    end: int
    low: bool

    def view(self, flat: paddle.Tensor, offset: int = 0) -> paddle.Tensor:
        """The parameter's part of a flat buffer that begins at place `offset`, in its shape, on the same memory."""
        part = flat._slice(self.start - offset, self.stop - offset)
        part.get_tensor()._set_dims(self.parameter.shape)
        return part


def spans_of(named: Iterable[tuple[str, paddle.Tensor]], low: set[str], start: int = 0) -> list[Span]:
    """Spans of parameters one behind the other."""
    found = []
    for name, parameter in named:
        stop = start + int(parameter.size)
        end = start + -(-(stop - start) // ALIGNMENT) * ALIGNMENT
        found.append(Span(name, parameter, start, stop, end, name in low))
        start = end
    return found


def low_precision_names(model: nn.Layer) -> set[str]:
    """Names of the parameters that O2 keeps in the low precision, as Paddle's `amp.decorate` chooses them for bf16:
    all but those of batch norms, and here temperatures and adapted layers too."""
    kept = {id(value) for layer in model.sublayers(True) if isinstance(layer, KEPT) for value in layer.parameters()}
    return {name for name, value in model.named_parameters() if id(value) not in kept}


def rounded(values: paddle.Tensor, dtype: str) -> paddle.Tensor:
    """fp32 values in the low precision."""
    return values.astype(dtype)


class Weights:
    """The parameters of a model but for running statistics, in the order of their keys.

    keys: {name: what sorts it}, equal for what is treated alike; order: of what learns, a parameter that has no key
    never does, and lies behind; by default all that has no stop_gradient learns. low: names that are kept in `dtype`.
    `values` is fp32 [n], `spans` are those of learning parameters first, up to place `learning`.
    """

    def __init__(
        self,
        model: nn.Layer,
        keys: Mapping[str, Any] | None = None,
        low: Iterable[str] = (),
        dtype: str = "bfloat16",
    ) -> None:
        self.model, self.dtype, low = model, dtype, set(low)
        named = {name: value for name, value in model.named_parameters() if not is_statistic(name)}
        if keys is None:
            keys = {name: () for name, value in named.items() if not value.stop_gradient}
        self.keys = keys
        order = sorted((name for name in named if name in keys), key=lambda name: (keys[name], name in low))
        self.spans = spans_of(((name, named[name]) for name in order), low)
        self.learners = len(self.spans)
        self.learning = self.spans[-1].end if self.spans else 0
        self.spans += spans_of((item for item in named.items() if item[0] not in keys), low, self.learning)
        with paddle.no_grad():
            self.values = paddle.zeros([self.spans[-1].end if self.spans else 0], "float32")
            self.views = [span.view(self.values) for span in self.spans]
            for span, view in zip(self.spans, self.views, strict=True):
                paddle.assign(span.parameter.astype("float32"), view)
                view._share_buffer_to(span.parameter)
            self.low = rounded(self.values, dtype) if low else None
            self._work()

    def _work(self) -> None:
        """Let the parameters of the low precision be views of their rounded copies."""
        for span in self.spans:
            if span.low:
                span.view(self.low)._share_buffer_to(span.parameter)

    def round(self, stop: int | None = None) -> None:
        """Bring the copies of the low precision up to date, up to place `stop`; to be called whenever `values` have
        changed."""
        if self.low is not None and stop != 0:
            stop = int(self.values.size) if stop is None else stop
            with paddle.no_grad():
                paddle.assign(rounded(self.values._slice(0, stop), self.dtype), self.low._slice(0, stop))

    @paddle.no_grad()
    def take_over(self) -> None:
        """Take over what a system has set, under O2, of the parameters that no step moves."""
        for span, view in zip(self.spans[self.learners :], self.views[self.learners :], strict=True):
            if span.low:
                now = span.view(self.low).astype("float32")
                moved = now != rounded(view, self.dtype).astype("float32")
                paddle.assign(paddle.where(moved, now, view), view)

    @contextmanager
    def shown(self, values: paddle.Tensor | None = None) -> Iterator[None]:
        """Inside the block every parameter is an fp32 view of `values` [n], by default of the master weights."""
        if values is None and self.low is None:
            yield
            return
        if values is None:
            self.take_over()
        try:
            for span in self.spans:
                span.view(self.values if values is None else values)._share_buffer_to(span.parameter)
            yield
        finally:
            for span, view in zip(self.spans, self.views, strict=True):
                view._share_buffer_to(span.parameter)
            self._work()

    def arrays(self, values: paddle.Tensor | None = None) -> dict[str, np.ndarray]:
        """{name: float32 array} of `values` [n], by default of the weights."""
        flat = (self.values if values is None else values).numpy()
        return {span.name: flat[span.start : span.stop].reshape(span.parameter.shape).copy() for span in self.spans}

    def ranges(self, parameters: Iterable[paddle.Tensor]) -> list[tuple[int, int]]:
        """[(start, end)] of those of the parameters that may learn, neighbours joined."""
        wanted, found = set(map(id, parameters)), []
        for span in self.spans[: self.learners]:
            if id(span.parameter) in wanted:
                if found and found[-1][1] == span.start:
                    found[-1] = (found[-1][0], span.end)
                else:
                    found.append((span.start, span.end))
        return found

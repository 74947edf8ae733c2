"""The gradient of a step in one flat fp32 buffer, in buckets that are also what collectives carry.

Paddle leaves the gradient of a parameter in the parameter's own precision, and adds up in it. So gradients of a low
precision are taken out after every backward pass and added here in fp32; those of fp32 are taken out once.
"""

import itertools
from collections.abc import Iterable, Mapping

import paddle

from .weights import Span, Weights

BUCKET = 32 << 20
"""Bytes of gradients or weights in one collective."""


class Bucket:
    """Neighbouring spans of one precision and one owner; `part` is their part of the gradient, fp32.

    filled: something was written to it in this step; first: number of its first span.
    """

    def __init__(self, spans: list[Span], owner: int, first: int) -> None:
        self.spans, self.owner, self.first = spans, owner, first
        self.start, self.end = spans[0].start, spans[-1].end
        self.part: paddle.Tensor | None = None
        self.filled = False
        self.parameters = [span.parameter for span in spans]
        self.numbers = range(first, first + len(spans))
        self._layout: list[paddle.Tensor | int] = []

    def joined(self, gradients: list[paddle.Tensor | None], dtype: paddle.dtype) -> paddle.Tensor:
        """[end - start]: the gradients one after the other with zeros between them, and where there is none."""
        if not self._layout:
            for place, span in enumerate(self.spans):
                self._layout.append(place)
                if span.end > span.stop:
                    self._layout.append(paddle.zeros([span.end - span.stop], dtype))
        parts = [gradients[part] if isinstance(part, int) else part for part in self._layout]
        if any(part is None for part in parts):
            for place, part in enumerate(self._layout):
                if parts[place] is None:
                    parts[place] = paddle.zeros(self.spans[part].parameter.shape, dtype)
        if len(parts) == 1:
            return parts[0].reshape([-1])
        if dtype != paddle.float32:  # the kernel below has no bf16 (Paddle 3.3.1 on a CPU; of GPUs read)
            return paddle.concat([paddle._C_ops.reshape(part, [-1]) for part in parts])
        return paddle._C_ops.coalesce_tensor(parts, dtype, True, False, False, 0.0, False, -1, -1, [], [])[1]


class Gradients:
    """Gradients of what may learn in `weights`, one flat buffer fp32 [weights.learning].

    owner: {name: rank} under sharding, so that a bucket is of one owner. `present` tells of every span whether it has a
    gradient in this step. The first key of a parameter's order must be its owner then.
    """

    def __init__(self, weights: Weights, owner: Mapping[str, int] | None = None) -> None:
        self.weights = weights
        self.flat = paddle.zeros([weights.learning], "float32")
        self.buckets = buckets(weights.spans[: weights.learners], owner or {})
        for bucket in self.buckets:
            bucket.part = self.flat._slice(bucket.start, bucket.end)
        self.present = [False] * weights.learners
        self.low = weights.low is not None

    def collect(self, low_only: bool = False) -> None:
        """Take the gradients out of the parameters, or of those of low precision alone, and add them up."""
        with paddle.no_grad():
            for bucket in self.buckets:
                if bucket.spans[0].low or not low_only:
                    self._take(bucket)

    def _take(self, bucket: Bucket) -> None:
        found = [parameter.grad for parameter in bucket.parameters]
        given = next((gradient for gradient in found if gradient is not None), None)
        if given is None:
            return
        joined = bucket.joined(found, given.dtype).astype("float32")
        if bucket.filled:
            bucket.part.add_(joined)
        else:
            paddle.assign(joined, bucket.part)
            bucket.filled = True
        for number, parameter, gradient in zip(bucket.numbers, bucket.parameters, found, strict=True):
            if gradient is not None:
                self.present[number] = True
                parameter.grad = None

    @property
    def held(self) -> list[Bucket]:
        """The buckets that have a gradient in this step."""
        return [bucket for bucket in self.buckets if bucket.filled]

    def to_reduce(self) -> list[Bucket]:
        """The buckets in which something learns now, zeros where this rank has no gradient: every rank has the same."""
        found = [bucket for bucket in self.buckets if not all(value.stop_gradient for value in bucket.parameters)]
        for bucket in found:
            if not bucket.filled:
                bucket.part.zero_()
                bucket.filled = True
        return found

    def squared_norm(self, ranges: Iterable[tuple[int, int]] | None = None, owner: int | None = None) -> paddle.Tensor:
        """Sum of squares of the gradient, a tensor [], or of the parts of it in `ranges`; of one owner's buckets."""
        parts = []
        for bucket in self.held:
            if owner is not None and bucket.owner != owner:
                continue
            if ranges is None:
                parts.append(bucket.part)
                continue
            for start, end in ranges:
                start, end = max(start, bucket.start), min(end, bucket.end)
                if start < end:
                    parts.append(self.flat._slice(start, end))
        return total_square(parts)

    def scale(self, factor: float) -> None:
        """Multiply the gradient."""
        with paddle.no_grad():
            for bucket in self.held:
                bucket.part.scale_(factor)

    def named(self) -> dict[str, paddle.Tensor]:
        """{name: gradient, a view} of what has one in this step."""
        return {
            span.name: span.view(self.flat)
            for span, present in zip(self.weights.spans, self.present, strict=False)
            if present
        }

    def clear(self) -> None:
        """Forget the gradients that were collected."""
        for bucket in self.buckets:
            bucket.filled = False
        self.present = [False] * self.weights.learners


def buckets(spans: list[Span], owner: Mapping[str, int]) -> list[Bucket]:
    """Neighbours of at most BUCKET bytes in fp32, each of one precision and one owner."""
    groups: list[list[Span]] = []
    for span in spans:
        before = groups[-1] if groups else None
        kind = (owner.get(span.name, 0), span.low)
        fits = before and 4 * (span.end - before[0].start) <= BUCKET
        if fits and (owner.get(before[0].name, 0), before[0].low) == kind:
            before.append(span)
        else:
            groups.append([span])
    firsts = itertools.accumulate(map(len, groups), initial=0)
    return [Bucket(group, owner.get(group[0].name, 0), first) for group, first in zip(groups, firsts, strict=False)]


def total_square(tensors: list[paddle.Tensor]) -> paddle.Tensor:
    """Sum of the squares of all elements in fp32, a tensor []: one kernel a tensor, as Paddle's own clipping."""
    if not tensors:
        return paddle.zeros([])
    with paddle.no_grad():
        return paddle.concat([paddle._C_ops.squared_l2_norm(tensor.astype("float32")) for tensor in tensors]).sum()

"""The gradient of a step in flat fp32 buckets, which are also what collectives carry.

Paddle leaves the gradient of a parameter in the parameter's own precision, and adds up in it. So gradients of a low
precision are taken out after every backward pass and added here in fp32; those of fp32 are taken out once. A bucket has
memory while it holds something, and what it took is let go: no step has a gradient twice but for one bucket.
"""

import itertools
from collections.abc import Iterable, Mapping

import paddle

from .slices import each_slice, sliced
from .weights import Span, Weights

BUCKET = 32 << 20
"""Bytes of gradients or weights in one collective."""


class Bucket:
    """Neighbouring spans of one precision and one owner; `part` is their part of the gradient in this step, fp32
    [end - start], or None. first: number of its first span."""

    def __init__(self, spans: list[Span], owner: int, first: int) -> None:
        self.spans, self.owner, self.first = spans, owner, first
        self.start, self.end = spans[0].start, spans[-1].end
        self.part: paddle.Tensor | None = None
        self.parameters = [span.parameter for span in spans]
        self.numbers = range(first, first + len(spans))
        self._layout: list[paddle.Tensor | int] = []

    def joined(self, gradients: list[paddle.Tensor | None]) -> paddle.Tensor:
        """fp32 [end - start]: the gradients one after the other with zeros between them, and where there is none."""
        if not self._layout:
            for place, span in enumerate(self.spans):
                self._layout.append(place)
                if span.end > span.stop:
                    self._layout.append(paddle.zeros([span.end - span.stop], "float32"))
        parts = [gradients[part] if isinstance(part, int) else part for part in self._layout]
        for place, part in enumerate(self._layout):
            if parts[place] is None:
                parts[place] = paddle.zeros(self.spans[part].parameter.shape, "float32")
            elif parts[place].dtype != paddle.float32:  # the kernel below is registered without bf16
                parts[place] = parts[place].astype("float32")
        if len(parts) == 1:
            return parts[0].reshape([-1])
        return paddle._C_ops.coalesce_tensor(parts, paddle.float32, True, False, False, 0.0, False, -1, -1, [], [])[1]


class Gradients:
    """Gradients of what may learn in `weights`, in its order.

    owner: {name: rank} under sharding, so that a bucket is of one owner. `present` tells of every span whether it has a
    gradient in this step. The first key of a parameter's order must be its owner then.
    """

    def __init__(self, weights: Weights, owner: Mapping[str, int] | None = None) -> None:
        self.weights = weights
        self.buckets = buckets(weights.spans[: weights.learners], owner or {})
        self.present = [False] * weights.learners

    def collect(self, low_only: bool = False) -> None:
        """Take the gradients out of the parameters, or of those of low precision alone, and add them up."""
        with paddle.no_grad():
            for bucket in self.buckets:
                if bucket.spans[0].low or not low_only:
                    self._take(bucket)

    def _take(self, bucket: Bucket) -> None:
        found = [parameter.grad for parameter in bucket.parameters]
        if all(gradient is None for gradient in found):
            return
        joined = bucket.joined(found)
        bucket.part = joined if bucket.part is None else bucket.part.add_(joined)
        for number, parameter, gradient in zip(bucket.numbers, bucket.parameters, found, strict=True):
            if gradient is not None:
                self.present[number] = True
                parameter.grad = None

    @property
    def held(self) -> list[Bucket]:
        """The buckets that have a gradient in this step."""
        return [bucket for bucket in self.buckets if bucket.part is not None]

    def to_reduce(self) -> list[Bucket]:
        """The buckets in which something learns now, zeros where this rank has no gradient: every rank has the same."""
        found = [bucket for bucket in self.buckets if not all(value.stop_gradient for value in bucket.parameters)]
        for bucket in found:
            if bucket.part is None:
                bucket.part = paddle.zeros([bucket.end - bucket.start], "float32")
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
                    parts.append(bucket.part._slice(start - bucket.start, end - bucket.start))
        return total_square(parts)

    def scale(self, factor: float) -> None:
        """Multiply the gradient."""
        parts = [part for bucket in self.held for part in sliced(bucket.part)]
        each_slice(lambda part: part.scale_(factor), parts)

    def named(self) -> dict[str, paddle.Tensor]:
        """{name: gradient, a view} of what has one in this step."""
        return {
            span.name: span.view(bucket.part, bucket.start)
            for bucket in self.held
            for number, span in zip(bucket.numbers, bucket.spans, strict=True)
            if self.present[number]
        }

    def clear(self) -> None:
        """Forget the gradients that were collected."""
        for bucket in self.buckets:
            bucket.part = None
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
    """Sum of the squares of all elements of flat tensors in fp32, a tensor []: one kernel a tensor, as Paddle's own
    clipping, or a slice of it."""
    if not tensors:
        return paddle.zeros([])
    parts = [part for tensor in tensors for part in sliced(tensor)]
    squares = each_slice(lambda part: paddle._C_ops.squared_l2_norm(part.astype("float32")), parts)
    with paddle.no_grad():
        return paddle.concat(squares).sum()

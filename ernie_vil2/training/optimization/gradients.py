"""The gradient of a step in one flat fp32 buffer, in buckets that are also what collectives carry.

Paddle leaves the gradient of a parameter in the parameter's own precision, and adds up in it. So gradients of a low
precision are taken out after every backward pass and added here in fp32; those of fp32 are taken out once.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import paddle

from .weights import Span, Weights

BUCKET = 32 << 20
"""Bytes of gradients or weights in one collective."""


@dataclass
class Bucket:
    """Neighbouring spans of one precision and one owner; `part` is their part of the gradient, fp32.

    filled: something was written to it in this step; first: number of its first span.
    """

    spans: list[Span]
    owner: int
    first: int
    part: paddle.Tensor | None = None
    filled: bool = False
    pads: dict[int, paddle.Tensor] = field(default_factory=dict)

    @property
    def start(self) -> int:
        """Place of its first value."""
        return self.spans[0].start

    @property
    def end(self) -> int:
        """The place behind its last value."""
        return self.spans[-1].end

    def joined(self, gradients: list[paddle.Tensor | None], dtype: paddle.dtype) -> paddle.Tensor:
        """[end - start]: the gradients one after the other with zeros between them, and where there is none."""
        parts = []
        for span, gradient in zip(self.spans, gradients, strict=True):
            parts.append(paddle.zeros(span.parameter.shape, dtype) if gradient is None else gradient)
            if lacking := span.end - span.stop:
                if lacking not in self.pads:
                    self.pads[lacking] = paddle.zeros([lacking], dtype)
                parts.append(self.pads[lacking])
        if len(parts) == 1:
            return parts[0].reshape([-1])
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
        found = [span.parameter.grad for span in bucket.spans]
        given = next((gradient for gradient in found if gradient is not None), None)
        if given is None:
            return
        joined = bucket.joined(found, given.dtype).astype("float32")
        if bucket.filled:
            bucket.part.add_(joined)
        else:
            paddle.assign(joined, bucket.part)
            bucket.filled = True
        for number, (span, gradient) in enumerate(zip(bucket.spans, found, strict=True), bucket.first):
            if gradient is not None:
                self.present[number] = True
                span.parameter.grad = None

    @property
    def held(self) -> list[Bucket]:
        """The buckets that have a gradient in this step."""
        return [bucket for bucket in self.buckets if bucket.filled]

    def to_reduce(self) -> list[Bucket]:
        """The buckets in which something learns now, zeros where this rank has no gradient: every rank has the same."""
        found = [bucket for bucket in self.buckets if not all(span.parameter.stop_gradient for span in bucket.spans)]
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
        """Forget the gradients; also those that were left in parameters."""
        for bucket in self.buckets:
            bucket.filled = False
        self.present = [False] * self.weights.learners
        for span in self.weights.spans:
            span.parameter.grad = None


def buckets(spans: list[Span], owner: Mapping[str, int]) -> list[Bucket]:
    """Neighbours of at most BUCKET bytes in fp32, each of one precision and one owner."""
    found: list[Bucket] = []
    for number, span in enumerate(spans):
        last, rank = found[-1] if found else None, owner.get(span.name, 0)
        fits = last is not None and 4 * (span.end - last.start) <= BUCKET
        if fits and last.owner == rank and last.spans[0].low == span.low:
            last.spans.append(span)
        else:
            found.append(Bucket([span], rank, number))
    return found


def total_square(tensors: list[paddle.Tensor]) -> paddle.Tensor:
    """Sum of the squares of all elements in fp32, a tensor []: one kernel a tensor, as Paddle's own clipping."""
    if not tensors:
        return paddle.zeros([])
    with paddle.no_grad():
        return paddle.concat([paddle._C_ops.squared_l2_norm(tensor.astype("float32")) for tensor in tensors]).sum()

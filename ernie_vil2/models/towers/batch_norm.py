"""Batch norm in a contrastive tower: statistics that never move, or those of the batch over all ranks.

With frozen statistics a batch norm is a fixed scale and shift, so chunks, views and ranks do not see each other. Paddle
lists the statistics among the parameters, without gradient. Its own nn.SyncBatchNorm is not used: it runs on GPUs only,
weighs ranks alike whatever their shares are, and adds nothing up where its context has no communicator (read in
phi/kernels/funcs/sync_batch_norm_utils.h of Paddle 3.3.1).
"""

from collections.abc import Iterable

import paddle
import paddle.distributed as dist
import paddle.nn.functional as F
from paddle import nn
from paddle.autograd import PyLayer, PyLayerContext
from paddle.nn.layer.norm import _BatchNormBase

from ...device import device_of
from ..recompute import running_again

STATISTICS = ("._mean", "._variance")


def is_statistic(name: str) -> bool:
    """Whether the parameter of that name is a running mean or variance, which no optimizer or average may touch."""
    return name.endswith(STATISTICS)


class BatchNorm(nn.BatchNorm2D):
    """nn.BatchNorm2D, [B, C, h, w] -> the same, without its warning in training; a block's second pass, of recompute,
    moves no statistics. momentum: weight of the old statistics in an update, 0.99 in PaddleClas's and TensorFlow's
    EfficientNet; unbiased: that the variance in it is the unbiased one, as torch has it and Paddle has not."""

    def __init__(self, channels: int, momentum: float = 0.9, epsilon: float = 1e-5, unbiased: bool = False):
        super().__init__(channels, momentum, epsilon)
        self.unbiased = unbiased

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        moving = self.training and learns_statistics(self) and not running_again()
        if not (self.unbiased and moving):
            return self.normalised(x, self._mean, self._variance)
        if not device_of(x).is_cpu:  # whose variance is the biased one has been read of a CPU's kernel alone
            return self.over_batch(x)
        mean, variance = self._mean.clone(), self._variance.clone()  # the gradient wants them as the kernel left them
        x = self.normalised(x, mean, variance)
        count = x.size // x.shape[1]
        with paddle.no_grad():
            kept = self._variance * self._momentum
            paddle.assign(mean, self._mean)
            paddle.assign(kept + (variance - kept) * (count / max(count - 1, 1)), self._variance)
        return x

    def normalised(self, x: paddle.Tensor, mean: paddle.Tensor, variance: paddle.Tensor) -> paddle.Tensor:
        """x by Paddle's own kernel, which moves statistics towards the mean and the biased variance of the batch."""
        return F.batch_norm(
            x,
            mean,
            variance,
            self.weight,
            self.bias,
            self.training,
            1.0 if running_again() else self._momentum,
            self._epsilon,
            use_global_stats=self._use_global_stats,
        )

    def over_batch(self, x: paddle.Tensor) -> paddle.Tensor:
        """x normalised by the batch of all ranks, whose statistics the stored ones move towards."""
        x, mean, variance, count = WholeBatchNorm.apply(x, self.weight, self.bias, self._epsilon)
        if not running_again():
            self._move(self._mean, mean)
            wide = count / paddle.clip(count - 1.0, min=1.0)
            self._move(self._variance, variance * wide if self.unbiased else variance)
        return x

    @paddle.no_grad()
    def _move(self, statistic: paddle.Tensor, value: paddle.Tensor) -> None:
        paddle.assign(statistic * self._momentum + value * (1.0 - self._momentum), statistic)


def frozen_or_not(layers: nn.Layer, mode: str) -> nn.Layer:
    """`layers`, with every batch norm in it as `mode` says: frozen, or train."""
    for layer in layers.sublayers(include_self=True):
        if isinstance(layer, (_BatchNormBase, nn.BatchNorm)):
            # False would take the batch's statistics in evaluation too; None, for the newer layers, does not.
            layer._use_global_stats = True if mode == "frozen" else (None, False)[isinstance(layer, nn.BatchNorm)]
    return layers


def float32(x: paddle.Tensor) -> paddle.Tensor:
    """x itself, or a copy in fp32."""
    return x if x.dtype == paddle.float32 else x.astype("float32")


def around_channels(x: paddle.Tensor) -> tuple[list[int], list[int]]:
    """(every axis but the channels', the shape in which [C] is broadcast) of [B, C, ...]."""
    return [0, *range(2, x.ndim)], [1, -1] + [1] * (x.ndim - 2)


def combined(
    count: paddle.Tensor, mean: paddle.Tensor, deviations: paddle.Tensor
) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor]:
    """(count [1], mean [C], sum of squared deviations from it [C]) over all ranks from those of this one, in one
    collective; the same bits on every rank. In fp32, for not every device adds up float64."""
    if dist.get_world_size() == 1:
        return count, mean, deviations
    rows = []
    dist.all_gather(rows, paddle.concat([count, mean, deviations]))
    table = paddle.stack(rows)
    counts, means, deviations = paddle.split(table, [1, mean.shape[0], mean.shape[0]], axis=1)
    total = counts.sum(0)
    mean = (counts * means).sum(0) / total
    return total, mean, (deviations + counts * (means - mean).square()).sum(0)


class WholeBatchNorm(PyLayer):
    """x [B, C, ...] of this rank -> x normalised with mean and variance over the rows of all ranks, scaled and shifted.

    Each rank gives its count, means and sums of squared deviations, which add up exactly whatever its share is (Chan,
    Golub, LeVeque 1983, section 2). A rank's loss is its summand of the global one and gradients are summed over ranks
    afterwards, so the gradient of x has sums over all ranks, and those of weight and bias are this rank's part.
    """

    @staticmethod
    def forward(
        ctx: PyLayerContext,
        x: paddle.Tensor,
        weight: paddle.Tensor | None,
        bias: paddle.Tensor | None,
        epsilon: float,
    ) -> tuple[paddle.Tensor, paddle.Tensor, paddle.Tensor, paddle.Tensor]:
        """(the normalised x in its own type; mean and biased variance of the whole batch, float32 [C], and the values
        [1] that they are of, without gradient)."""
        with paddle.amp.auto_cast(enable=False):
            own = float32(x)
            axes, shape = around_channels(x)
            count = paddle.full([1], x.size // x.shape[1], "float32")
            own_mean = own.mean(axes)
            centred = own - own_mean.reshape(shape)
            total, mean, deviations = combined(count, own_mean, centred.square().sum(axes))
            variance = deviations / total
            scale = 1.0 / paddle.sqrt(variance + epsilon)
            factor = scale if weight is None else scale * weight
            shift = (own_mean - mean) * factor
            shift = shift if bias is None else shift + bias
            normal = (centred * factor.reshape(shape) + shift.reshape(shape)).astype(x.dtype)
        ctx.save_for_backward(x, weight, mean, scale, total)
        ctx.wanted = [None if value is None else not value.stop_gradient for value in (x, weight, bias)]
        ctx.mark_non_differentiable(mean, variance, total)
        return normal, mean, variance, total

    @staticmethod
    def backward(ctx: PyLayerContext, gradient: paddle.Tensor, *_: paddle.Tensor) -> tuple[paddle.Tensor | None, ...]:
        """Gradients of the tensors that were given; None for one that does not learn."""
        x, weight, mean, scale, total = ctx.saved_tensor()
        with paddle.amp.auto_cast(enable=False):
            axes, shape = around_channels(x)
            gradient = float32(gradient)
            normal = (float32(x) - mean.reshape(shape)) * scale.reshape(shape)
            of_bias, of_weight = gradient.sum(axes), (gradient * normal).sum(axes)
            of_x = None
            if ctx.wanted[0]:
                sums = paddle.stack([of_bias, of_weight])
                if dist.get_world_size() > 1:
                    dist.all_reduce(sums)
                level, slope = ((part / total).reshape(shape) for part in sums)
                factor = scale if weight is None else scale * weight
                of_x = ((gradient - level - normal * slope) * factor.reshape(shape)).astype(x.dtype)
        found = zip(ctx.wanted, (of_x, of_weight, of_bias), strict=True)
        return tuple(value if wanted else None for wanted, value in found if wanted is not None)


class SynchronisedBatchNorm(BatchNorm):
    """Batch norm over the ranks' batches, [B, C, ...], in place of `layer` with its parameters and its activation if it
    has one. Every rank must call it, with rows of its own; evaluation needs no other rank."""

    def __init__(self, layer: nn.Layer):
        unbiased = getattr(layer, "unbiased", False)
        super().__init__(layer._mean.shape[0], layer._momentum, layer._epsilon, unbiased)
        self.weight, self.bias = layer.weight, layer.bias
        self._mean, self._variance = layer._mean, layer._variance
        self.activation = getattr(F, layer._act) if getattr(layer, "_act", None) else None

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = self.over_batch(x) if self.training else super().forward(x)
        return x if self.activation is None else self.activation(x)


def learns_statistics(layer: nn.Layer) -> bool:
    """Whether a layer is a batch norm whose statistics are those of the batch."""
    return isinstance(layer, (_BatchNormBase, nn.BatchNorm)) and layer._use_global_stats is not True


def synchronise(layers: nn.Layer) -> None:
    """Replace, in place, every batch norm that learns its statistics by one over all ranks."""
    for parent in layers.sublayers(include_self=True):
        for name, layer in list(parent.named_children()):
            if learns_statistics(layer) and not isinstance(layer, SynchronisedBatchNorm):
                setattr(parent, name, SynchronisedBatchNorm(layer))


def synchronised(layers: Iterable[nn.Layer]) -> bool:
    """Whether one of the layers, or one inside them, waits for the other ranks in its forward and backward pass."""
    inside = (part for layer in layers for part in layer.sublayers(include_self=True))
    return any(isinstance(part, SynchronisedBatchNorm) for part in inside)

"""Batch norm in a contrastive tower: statistics that never move, or those of the batch over all GPUs.

With frozen statistics a batch norm is a fixed scale and shift, so chunks, views and ranks do not see each other. Paddle
lists the statistics among the parameters, without gradient.
"""

import paddle
import paddle.nn.functional as F
from paddle import nn
from paddle.nn.layer.norm import _BatchNormBase

MOMENTUM = 0.99
"""Weight of the old statistics in an update, as PaddleClas and TensorFlow have it for EfficientNet."""
STATISTICS = ("._mean", "._variance")


def is_statistic(name: str) -> bool:
    """Whether the parameter of that name is a running mean or variance, which no optimizer or average may touch."""
    return name.endswith(STATISTICS)


class BatchNorm(nn.BatchNorm2D):
    """nn.BatchNorm2D, [B, C, h, w] -> the same, without its warning in training."""

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return F.batch_norm(
            x,
            self._mean,
            self._variance,
            self.weight,
            self.bias,
            self.training,
            self._momentum,
            self._epsilon,
            use_global_stats=self._use_global_stats,
        )


def frozen_or_not(layers: nn.Layer, mode: str) -> nn.Layer:
    """`layers`, with every batch norm in it as `mode` says: frozen, or train."""
    for layer in layers.sublayers(include_self=True):
        if isinstance(layer, (_BatchNormBase, nn.BatchNorm)):
            # False would take the batch's statistics in evaluation too; None, for the newer layers, does not.
            layer._use_global_stats = True if mode == "frozen" else (None, False)[isinstance(layer, nn.BatchNorm)]
    return layers


class SyncBatchNorm(nn.SyncBatchNorm):
    """Batch norm over the ranks' batches, in place of `layer` with its parameters and its activation if it has one."""

    def __init__(self, layer: nn.Layer):
        super().__init__(layer._mean.shape[0], layer._momentum, layer._epsilon)
        self.weight, self.bias = layer.weight, layer.bias
        self._mean, self._variance = layer._mean, layer._variance
        self.activation = getattr(F, layer._act) if getattr(layer, "_act", None) else None

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = super().forward(x)
        return x if self.activation is None else self.activation(x)


def synchronise(layers: nn.Layer) -> None:
    """Replace, in place, every batch norm that learns its statistics by one over all ranks; GPU only, as Paddle's."""
    for parent in layers.sublayers(include_self=True):
        for name, layer in list(parent.named_children()):
            learns = isinstance(layer, (_BatchNormBase, nn.BatchNorm)) and layer._use_global_stats is not True
            if learns and not isinstance(layer, nn.SyncBatchNorm):
                setattr(parent, name, SyncBatchNorm(layer))

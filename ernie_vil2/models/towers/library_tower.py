"""What towers that another library builds have in common: the import on demand, its own starting values, our head."""

import contextlib
from collections.abc import Iterator

import paddle
from paddle import nn
from paddle.base import initializer as chosen

from ...config.tower_fields import PaddleClasConfig, PaddleNLPConfig
from ..layers import Linear
from ..masks import Dropout


@contextlib.contextmanager
def library_initialisers() -> Iterator[None]:
    """Inside the block layers start as their library wants it, also inside `dual_encoder.uninitialised`."""
    held = chosen._global_weight_initializer_, chosen._global_bias_initializer_
    nn.initializer.set_global_initializer(None)
    try:
        yield
    finally:
        nn.initializer.set_global_initializer(*held)


def without_tables(layers: nn.Layer) -> None:
    """Leave index tables and other buffers of integers out of the state dict: they are computed when it is built."""
    for layer in layers.sublayers(include_self=True):
        for name, value in layer._buffers.items():
            if value is not None and not paddle.is_floating_point(value):
                layer._non_persistable_buffer_names_set.add(name)


class Head(nn.Layer):
    """Base of these towers: [B, width] -> tanh(Linear(dropout)) [B, projection], or as it is without a projection."""

    def __init__(self, config: PaddleClasConfig | PaddleNLPConfig):
        super().__init__()
        self.dropout = Dropout(config.dropout)
        self.proj = Linear(config.width, config.projection) if config.projection else None

    def head(self, pooled: paddle.Tensor) -> paddle.Tensor:
        """pooled [B, width] -> raw embedding [B, D]."""
        return pooled if self.proj is None else paddle.tanh(self.proj(self.dropout(pooled)))

    def starting_values(self) -> None:
        """Glorot normal for the head; the rest has the values that its library gave it."""
        if self.proj is not None:
            nn.initializer.XavierNormal()(self.proj.weight)
            nn.initializer.Constant(0.0)(self.proj.bias)

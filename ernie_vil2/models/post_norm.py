"""A post-norm transformer over tokens of which some may be absent: the layers that BriVL and COOKIE put on towers."""

import paddle
from paddle import nn

from .layers import LayerNorm, Linear, run_blocks, self_attention
from .masks import Dropout

MASKED = -10000.0
EPSILON = 1e-5


def post_norm_parameters(width: int, feed_forward: int) -> int:
    """Parameters of the matrices of one layer."""
    return 4 * width * width + 2 * width * feed_forward


class PostNormLayer(nn.Layer):
    """torch's TransformerEncoderLayer: [B, N, W] -> [B, N, W]; every residual sum is normalised."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float, activation: str = "relu"):
        super().__init__()
        self.heads, self.rate, self.activation = heads, dropout, activation
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.fc1, self.fc2 = Linear(width, feed_forward), Linear(feed_forward, width)
        self.norm1, self.norm2 = (LayerNorm(width, epsilon=EPSILON) for _ in range(2))
        self.dropout = Dropout(dropout)

    def forward(self, x: paddle.Tensor, bias: paddle.Tensor | None = None) -> paddle.Tensor:
        width = x.shape[-1]
        parts = self.qkv(x).reshape([0, 0, 3, self.heads, width // self.heads])
        mixed = self.out(self_attention(parts, bias, self.rate, self.training))
        x = self.norm1(x + self.dropout(mixed))
        return self.norm2(x + self.dropout(self.fc2(self.dropout(self.fc1.activated(x, self.activation)))))


class PostNormLayers(nn.LayerList):
    """Several of them, [B, N, W] -> [B, N, W]. there: bool [B, N], the tokens that are attended to; None for all."""

    def __init__(self, width: int, depth: int, heads: int, feed_forward: int, dropout: float, activation: str = "relu"):
        super().__init__([PostNormLayer(width, heads, feed_forward, dropout, activation) for _ in range(depth)])
        self.recompute = False

    def forward(self, x: paddle.Tensor, there: paddle.Tensor | None = None) -> paddle.Tensor:
        others = () if there is None else ((~there).astype(x.dtype).unsqueeze([1, 2]) * MASKED,)
        return run_blocks(self, x, *others, recompute=self.recompute and self.training)

"""Tokens of unit length to an embedding: a post-norm transformer, a masked mean, two Linear layers (BriVL's heads)."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .layers import Linear, attention, run_blocks

MASKED = -10000.0
EPSILON = 1e-5
SMALLEST_NORM = 1e-12


def unit_rows(x: paddle.Tensor) -> paddle.Tensor:
    """Rows of unit length in float32, [..., W] -> [..., W]; a row of zeros stays, and its gradient is a number."""
    with paddle.amp.auto_cast(enable=False):
        x = x.astype("float32")
        return x / paddle.sqrt(paddle.clip((x * x).sum(-1, keepdim=True), min=SMALLEST_NORM**2))


class PostNormLayer(nn.Layer):
    """torch's TransformerEncoderLayer with ReLU: [B, N, W] -> [B, N, W]; every residual sum is normalised."""

    def __init__(self, width: int, heads: int, feed_forward: int, dropout: float):
        super().__init__()
        self.heads, self.rate = heads, dropout
        self.qkv, self.out = Linear(width, 3 * width), Linear(width, width)
        self.fc1, self.fc2 = Linear(width, feed_forward), Linear(feed_forward, width)
        self.norm1, self.norm2 = (nn.LayerNorm(width, epsilon=EPSILON) for _ in range(2))
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: paddle.Tensor, bias: paddle.Tensor) -> paddle.Tensor:
        batch, length, width = x.shape
        query, key, value = self.qkv(x).reshape([batch, length, 3, self.heads, width // self.heads]).unbind(2)
        mixed = self.out(attention(query, key, value, bias, self.rate, self.training))
        x = self.norm1(x + self.dropout(mixed))
        return self.norm2(x + self.dropout(self.fc2(self.dropout(F.relu(self.fc1(x))))))


class TokenHead(nn.Layer):
    """tokens [B, N, W] and which of them are there, bool [B, N] -> raw embeddings [B, D].

    Tokens are divided by their lengths, those that are not there are attended by none and left out of the mean.
    """

    def __init__(
        self, width: int, outputs: int, hidden: int, depth: int, heads: int, feed_forward: int, dropout: float
    ):
        super().__init__()
        self.recompute = False
        self.layers = nn.LayerList([PostNormLayer(width, heads, feed_forward, dropout) for _ in range(depth)])
        self.fc1, self.fc2 = Linear(width, hidden), Linear(hidden, outputs)

    def tokens(self, tokens: paddle.Tensor, there: paddle.Tensor) -> paddle.Tensor:
        """The tokens after the transformer, [B, N, W], those that are not there as 0."""
        x = unit_rows(tokens)
        bias = (~there).astype(x.dtype).unsqueeze([1, 2]) * MASKED
        x = run_blocks(self.layers, x, bias, recompute=self.recompute and self.training)
        return x * there.astype(x.dtype).unsqueeze(-1)

    def forward(self, tokens: paddle.Tensor, there: paddle.Tensor) -> paddle.Tensor:
        x = self.tokens(tokens, there)
        mean = x.sum(1) / there.astype(x.dtype).sum(1, keepdim=True)
        return self.fc2(F.relu(self.fc1(mean)))

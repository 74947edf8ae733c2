"""Tokens of unit length to an embedding: a post-norm transformer, a masked mean, two Linear layers (BriVL's heads)."""

import paddle
import paddle.nn.functional as F
from paddle import nn

from .layers import Linear
from .post_norm import PostNormLayers

SMALLEST_NORM = 1e-12


def unit_rows(x: paddle.Tensor) -> paddle.Tensor:
    """Rows of unit length in float32, [..., W] -> [..., W]; a row of zeros stays, and its gradient is a number."""
    with paddle.amp.auto_cast(enable=False):
        x = x.astype("float32")
        return x / paddle.sqrt(paddle.clip((x * x).sum(-1, keepdim=True), min=SMALLEST_NORM**2))


class TokenHead(nn.Layer):
    """tokens [B, N, W] and which of them are there, bool [B, N] -> raw embeddings [B, D].

    Tokens are divided by their lengths, those that are not there are attended by none and left out of the mean.
    """

    def __init__(
        self, width: int, outputs: int, hidden: int, depth: int, heads: int, feed_forward: int, dropout: float
    ):
        super().__init__()
        self.layers = PostNormLayers(width, depth, heads, feed_forward, dropout)
        self.fc1, self.fc2 = Linear(width, hidden), Linear(hidden, outputs)

    def tokens(self, tokens: paddle.Tensor, there: paddle.Tensor) -> paddle.Tensor:
        """The tokens after the transformer, [B, N, W], those that are not there as 0."""
        x = self.layers(unit_rows(tokens), there)
        return x * there.astype(x.dtype).unsqueeze(-1)

    def forward(self, tokens: paddle.Tensor, there: paddle.Tensor) -> paddle.Tensor:
        x = self.tokens(tokens, there)
        mean = x.sum(1) / there.astype(x.dtype).sum(1, keepdim=True)
        return self.fc2(F.relu(self.fc1(mean)))

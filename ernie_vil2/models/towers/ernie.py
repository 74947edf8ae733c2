"""The text tower: ERNIE, a post-LN transformer encoder whose embedding is the pooled [CLS] token.

Keys, shapes and arithmetic are those of the ERNIE-ViL 2.0 release; Linear weights are [in, out].
"""

import paddle
from paddle import nn

from ...config.tower_fields import TextTowerConfig
from ..layers import DropPath, LayerNorm, Linear, attention, drop_path_rates, run_blocks, size_of
from ..masks import Dropout

PAD_ID = 0
MASKED = -10000.0


class Attention(nn.Layer):
    """Self-attention with separate query, key and value: [B, L, W] -> [B, L, W]."""

    def __init__(self, config: TextTowerConfig):
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.q = Linear(config.width, config.width)
        self.k = Linear(config.width, config.width)
        self.v = Linear(config.width, config.width)
        self.o = Linear(config.width, config.width)

    def forward(self, x: paddle.Tensor, bias: paddle.Tensor | None = None) -> paddle.Tensor:
        shape = [0, 0, self.heads, x.shape[-1] // self.heads]
        query, key, value = (layer(x).reshape(shape) for layer in (self.q, self.k, self.v))
        return self.o(attention(query, key, value, bias, self.dropout, self.training))


class FeedForward(nn.Layer):
    """Linear, activation, Linear: [B, L, W] -> [B, L, W]."""

    def __init__(self, config: TextTowerConfig):
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.activation = config.activation
        self.i = Linear(config.width, hidden)
        self.o = Linear(hidden, config.width)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.o(self.i.activated(x, self.activation))


class Block(nn.Layer):
    """One post-LN block: each residual sum is normalised."""

    def __init__(self, config: TextTowerConfig, drop_path: float):
        super().__init__()
        self.attn = Attention(config)
        self.ln1 = LayerNorm(config.width, epsilon=config.epsilon)
        self.ffn = FeedForward(config)
        self.ln2 = LayerNorm(config.width, epsilon=config.epsilon)
        self.dropout = Dropout(config.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: paddle.Tensor, bias: paddle.Tensor | None = None) -> paddle.Tensor:
        x = self.ln1(x + self.drop_path(self.dropout(self.attn(x, bias))))
        return self.ln2(x + self.drop_path(self.dropout(self.ffn(x))))


class EncoderStack(nn.Layer):
    """The blocks; a layer of its own because the release's keys say so."""

    def __init__(self, config: TextTowerConfig):
        super().__init__()
        self.recompute = False
        self.block = nn.LayerList([Block(config, rate) for rate in drop_path_rates(config.drop_path, config.depth)])

    def forward(self, x: paddle.Tensor, bias: paddle.Tensor | None = None) -> paddle.Tensor:
        others = () if bias is None else (bias,)
        return run_blocks(self.block, x, *others, recompute=self.recompute and self.training)


class ErnieEncoder(nn.Layer):
    """token ids int64 [B, L], padded with 0 -> raw embedding [B, D] (tanh pooler, projected where configured)."""

    def __init__(self, config: TextTowerConfig):
        super().__init__()
        self.word_emb = nn.Embedding(config.vocab_size, config.width)
        self.pos_emb = nn.Embedding(config.positions, config.width)
        self.type_emb = nn.Embedding(config.token_types, config.width) if config.token_types else None
        self.ln = LayerNorm(config.width, epsilon=config.epsilon)
        self.dropout = Dropout(config.dropout)
        self.encoder_stack = EncoderStack(config)
        self.pooler = Linear(config.width, config.width)
        self.proj = Linear(config.width, config.projection, bias_attr=False) if config.projection else None

    def embedded(self, ids: paddle.Tensor) -> paddle.Tensor:
        """What the first block reads for every id: [B, L] -> [B, L, W]."""
        x = self.word_emb(ids) + self.pos_emb.weight[: size_of(ids, 1)]
        if self.type_emb is not None:
            x = x + self.type_emb.weight[0]
        return self.dropout(self.ln(x))

    def tokens(self, ids: paddle.Tensor, masked: bool = True) -> paddle.Tensor:
        """What the last block gives for every id: [B, L] -> [B, L, W]; masked: whether padding is not attended to."""
        x = self.embedded(ids)
        return self.encoder_stack(x, padding_bias(ids, x.dtype) if masked else None)

    def forward(self, ids: paddle.Tensor) -> paddle.Tensor:
        pooled = paddle.tanh(self.pooler(self.tokens(ids)[:, 0]))
        return pooled if self.proj is None else self.proj(pooled)


def padding_bias(ids: paddle.Tensor, dtype: paddle.dtype) -> paddle.Tensor:
    """Attention bias [B, 1, 1, L]: -10000 on padding keys.

    The release masks padding queries too; their outputs reach nothing, so the embedding is the same.
    """
    return ((ids == PAD_ID).astype(dtype) * MASKED).unsqueeze([1, 2])

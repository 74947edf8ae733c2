"""The image tower: a pre-LN vision transformer whose embedding is the normalised class token.

Keys, shapes and arithmetic are those of the ERNIE-ViL 2.0 release; Linear weights are [in, out].
"""

import math

import paddle
from paddle import nn

from ...config.tower_fields import ImageTowerConfig
from ..layers import DropPath, LayerNorm, Linear, drop_path_rates, run_blocks, self_attention, size_of
from ..masks import Dropout, shuffled


class PatchEmbed(nn.Layer):
    """Non-overlapping patches to tokens: [B, 3, S, S] -> [B, (S / patch)^2, W]."""

    def __init__(self, config: ImageTowerConfig):
        super().__init__()
        self.patch_size = config.patch_size
        self.proj = nn.Conv2D(
            3, config.width, config.patch_size, stride=config.patch_size, bias_attr=None if config.patch_bias else False
        )

    def forward(self, pixels: paddle.Tensor) -> paddle.Tensor:
        channels, height, width = pixels.shape[1:]
        patch = self.patch_size
        rows, columns = height // patch, width // patch
        # One matrix product: the convolution's kernels do not overlap, and its CPU kernel is slower.
        cells = pixels.reshape([0, channels, rows, patch, columns, patch]).transpose([0, 2, 4, 1, 3, 5])
        tokens = paddle.matmul(
            cells.reshape([0, rows * columns, channels * patch * patch]),
            self.proj.weight.flatten(1),
            transpose_y=True,
        )
        return tokens if self.proj.bias is None else tokens + self.proj.bias


class Attention(nn.Layer):
    """Self-attention with fused query, key and value: [B, N, W] -> [B, N, W]."""

    def __init__(self, config: ImageTowerConfig):
        super().__init__()
        self.heads = config.heads
        self.dropout = config.dropout
        self.qkv = Linear(config.width, 3 * config.width)
        self.proj = Linear(config.width, config.width)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        parts = self.qkv(x).reshape([0, 0, 3, self.heads, x.shape[-1] // self.heads])
        return self.proj(self_attention(parts, dropout=self.dropout, training=self.training))


class MLP(nn.Layer):
    """Linear, activation, Linear: [B, N, W] -> [B, N, W]."""

    def __init__(self, config: ImageTowerConfig):
        super().__init__()
        hidden = int(config.width * config.mlp_ratio)
        self.activation = config.activation
        self.fc1 = Linear(config.width, hidden)
        self.fc2 = Linear(hidden, config.width)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return self.fc2(self.fc1.activated(x, self.activation))


class Block(nn.Layer):
    """One pre-LN block: attention and MLP, each a residual branch."""

    def __init__(self, config: ImageTowerConfig, drop_path: float):
        super().__init__()
        self.norm1 = LayerNorm(config.width, epsilon=config.epsilon)
        self.attn = Attention(config)
        self.norm2 = LayerNorm(config.width, epsilon=config.epsilon)
        self.mlp = MLP(config)
        self.dropout = Dropout(config.dropout)
        self.drop_path = DropPath(drop_path)

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        x = x + self.drop_path(self.dropout(self.attn(self.norm1(x))))
        return x + self.drop_path(self.dropout(self.mlp(self.norm2(x))))


class VisionTransformer(nn.Layer):
    """pixels float32 [B, 3, S, S] -> raw embedding [B, D] (token 0 after `norm_post`, projected where configured)."""

    def __init__(self, config: ImageTowerConfig):
        super().__init__()
        self.recompute = False
        tokens = (config.image_size // config.patch_size) ** 2 + 1
        self.patch_dropout = config.patch_dropout
        self.patch_embed = PatchEmbed(config)
        self.class_embedding = self.create_parameter([1, 1, config.width])
        self.positional_embedding = self.create_parameter([1, tokens, config.width])
        self.norm_pre = LayerNorm(config.width, epsilon=config.epsilon) if config.pre_norm else None
        self.blocks = nn.LayerList([Block(config, rate) for rate in drop_path_rates(config.drop_path, config.depth)])
        self.norm_post = LayerNorm(config.width, epsilon=config.epsilon)
        self.proj = Linear(config.width, config.projection, bias_attr=False) if config.projection else None

    def last_block(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """What the last block gives, not normalised yet: [B, 3, S, S] -> [B, 1 + N, W]."""
        x = self.patch_embed(pixels)
        first = self.class_embedding.expand([size_of(x, 0), -1, -1])
        x = paddle.concat([first, x], axis=1) + self.positional_embedding
        if self.training and self.patch_dropout:
            x = without_patches(x, self.patch_dropout)
        if self.norm_pre is not None:
            x = self.norm_pre(x)
        return run_blocks(self.blocks, x, recompute=self.recompute and self.training)

    def tokens(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """The class token and those of the patches, normalised: [B, 3, S, S] -> [B, 1 + N, W]."""
        return self.norm_post(self.last_block(pixels))

    def features(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """The tokens of the patches as a feature map: [B, 3, S, S] -> [B, W, S / patch, S / patch]."""
        patches = self.tokens(pixels)[:, 1:]
        side = pixels.shape[-1] // self.patch_embed.patch_size
        return patches.transpose([0, 2, 1]).reshape([0, patches.shape[2], side, side])

    def forward(self, pixels: paddle.Tensor) -> paddle.Tensor:
        # Layer norm works token by token, so only the token that is used is normalised.
        embeds = self.norm_post(self.last_block(pixels)[:, 0])
        return embeds if self.proj is None else self.proj(embeds)


def without_patches(x: paddle.Tensor, rate: float) -> paddle.Tensor:
    """Tokens [B, 1 + N, W] -> [B, 1 + K, W]: the class token and K = ceil((1 - rate) N) patches, at least 1, drawn for
    each image (FLIP, arXiv 2212.00794)."""
    batch, tokens, width = x.shape
    kept = max(1, math.ceil(round((1.0 - rate) * (tokens - 1), 6)))
    patches = shuffled(batch, tokens - 1)[:, :kept] + 1
    rows = paddle.concat([paddle.zeros([batch, 1], patches.dtype), patches], axis=1)
    rows = rows + paddle.arange(batch, dtype=patches.dtype).unsqueeze(1) * tokens
    return paddle.gather(x.reshape([batch * tokens, width]), rows.flatten()).reshape([batch, 1 + kept, width])

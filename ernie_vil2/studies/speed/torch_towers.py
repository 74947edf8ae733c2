"""The released towers as plain modules of torch, written as its users write them: fused query, key and value, torch's
own attention and exact GELU. Weights are those of a model directory; what a tower drops is dropped in training mode."""

from collections.abc import Callable, Mapping

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from ...config.tower_fields import ImageTowerConfig, TextTowerConfig

PAD_ID = 0
State = Mapping[str, np.ndarray]


def quick_gelu(x: torch.Tensor) -> torch.Tensor:
    """x * sigmoid(1.702 x), as OpenAI's CLIP."""
    return x * torch.sigmoid(1.702 * x)


ACTIVATIONS = {"quick_gelu": quick_gelu, "gelu": F.gelu, "relu": F.relu}


def parameter(values: np.ndarray) -> nn.Parameter:
    """A copy of an array."""
    return nn.Parameter(torch.from_numpy(np.array(values, np.float32, order="C")))


def linear(state: State, *names: str) -> nn.Linear:
    """One Linear of several layers, whose outputs stand side by side; ours are [in, out]."""
    weight = np.concatenate([state[f"{name}.weight"] for name in names], axis=1)
    biases = [state[f"{name}.bias"] for name in names if f"{name}.bias" in state]
    layer = nn.Linear(*weight.shape, bias=bool(biases), device="meta")
    layer.weight = parameter(weight.T)
    if biases:
        layer.bias = parameter(np.concatenate(biases))
    return layer


def norm(state: State, name: str, epsilon: float) -> nn.LayerNorm:
    """A LayerNorm."""
    layer = nn.LayerNorm(len(state[f"{name}.bias"]), epsilon, device="meta")
    layer.weight, layer.bias = parameter(state[f"{name}.weight"]), parameter(state[f"{name}.bias"])
    return layer


def block_rates(prefix: str, config: ImageTowerConfig | TextTowerConfig) -> list[tuple[str, float]]:
    """[(name of a block, rate of its stochastic depth)], rising linearly from 0."""
    last = max(config.depth - 1, 1)
    return [(f"{prefix}.{number}", config.drop_path * number / last) for number in range(config.depth)]


class Attention(nn.Module):
    """[B, N, W] -> [B, N, W]; allowed: which keys may be looked at, [B, 1, 1, N], None for all."""

    def __init__(self, heads: int, qkv: nn.Linear, out: nn.Linear, dropout: float):
        super().__init__()
        self.heads, self.qkv, self.out, self.dropout = heads, qkv, out, dropout

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        batch, length, width = x.shape
        parts = self.qkv(x).view(batch, length, 3, self.heads, width // self.heads).permute(2, 0, 3, 1, 4)
        dropped = self.dropout if self.training else 0.0
        mixed = F.scaled_dot_product_attention(*parts.unbind(0), attn_mask=allowed, dropout_p=dropped)
        return self.out(mixed.transpose(1, 2).reshape(batch, length, width))


class DropPath(nn.Module):
    """Stochastic depth, as timm has it: the branch of a sample is dropped with probability `rate`."""

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not self.training or not self.rate:
            return x
        keep = 1.0 - self.rate
        return x * x.new_empty([len(x)] + [1] * (x.ndim - 1)).bernoulli_(keep).div_(keep)


class Block(nn.Module):
    """Attention and MLP, each a residual branch, normalised before (ViT) or after the sum (ERNIE)."""

    def __init__(
        self,
        norms: tuple[nn.LayerNorm, nn.LayerNorm],
        attention: Attention,
        mlp: tuple[nn.Linear, nn.Linear],
        activation: Callable[[torch.Tensor], torch.Tensor],
        pre_norm: bool,
        dropout: float,
        drop_path: float,
    ):
        super().__init__()
        self.norm1, self.norm2 = norms
        self.dropped = nn.Sequential(nn.Dropout(dropout), DropPath(drop_path))
        self.attention = attention
        self.fc1, self.fc2 = mlp
        self.activation, self.pre_norm = activation, pre_norm

    def mlp(self, x: torch.Tensor) -> torch.Tensor:
        """Linear, activation, Linear."""
        return self.fc2(self.activation(self.fc1(x)))

    def forward(self, x: torch.Tensor, allowed: torch.Tensor | None = None) -> torch.Tensor:
        if self.pre_norm:
            x = x + self.dropped(self.attention(self.norm1(x), allowed))
            return x + self.dropped(self.mlp(self.norm2(x)))
        x = self.norm1(x + self.dropped(self.attention(x, allowed)))
        return self.norm2(x + self.dropped(self.mlp(x)))


class VisionTransformer(nn.Module):
    """pixels float32 [B, 3, S, S] -> raw embedding [B, D]."""

    def __init__(self, config: ImageTowerConfig, state: State):
        super().__init__()
        self.patch = nn.Conv2d(
            3, config.width, config.patch_size, config.patch_size, bias=config.patch_bias, device="meta"
        )
        self.patch.weight = parameter(state["patch_embed.proj.weight"])
        if config.patch_bias:
            self.patch.bias = parameter(state["patch_embed.proj.bias"])
        self.first, self.positions = parameter(state["class_embedding"]), parameter(state["positional_embedding"])
        self.norm_pre = norm(state, "norm_pre", config.epsilon) if config.pre_norm else nn.Identity()
        self.blocks = nn.ModuleList(
            Block(
                (norm(state, f"{block}.norm1", config.epsilon), norm(state, f"{block}.norm2", config.epsilon)),
                Attention(
                    config.heads,
                    linear(state, f"{block}.attn.qkv"),
                    linear(state, f"{block}.attn.proj"),
                    config.dropout,
                ),
                (linear(state, f"{block}.mlp.fc1"), linear(state, f"{block}.mlp.fc2")),
                ACTIVATIONS[config.activation],
                pre_norm=True,
                dropout=config.dropout,
                drop_path=rate,
            )
            for block, rate in block_rates("blocks", config)
        )
        self.norm_post = norm(state, "norm_post", config.epsilon)
        self.proj = linear(state, "proj") if config.projection else nn.Identity()

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        x = self.patch(pixels.to(self.patch.weight.dtype)).flatten(2).transpose(1, 2)
        x = self.norm_pre(torch.cat([self.first.expand(len(x), -1, -1), x], dim=1) + self.positions)
        for block in self.blocks:
            x = block(x)
        return self.proj(self.norm_post(x[:, 0]))


class Ernie(nn.Module):
    """token ids int64 [B, L], padded with 0 -> raw embedding [B, D]."""

    def __init__(self, config: TextTowerConfig, state: State):
        super().__init__()
        self.words, self.positions = parameter(state["word_emb.weight"]), parameter(state["pos_emb.weight"])
        self.token_types = parameter(state["type_emb.weight"]) if config.token_types else None
        self.dropout = nn.Dropout(config.dropout)
        self.norm = norm(state, "ln", config.epsilon)
        self.blocks = nn.ModuleList(
            Block(
                (norm(state, f"{block}.ln1", config.epsilon), norm(state, f"{block}.ln2", config.epsilon)),
                Attention(
                    config.heads,
                    linear(state, *(f"{block}.attn.{part}" for part in "qkv")),
                    linear(state, f"{block}.attn.o"),
                    config.dropout,
                ),
                (linear(state, f"{block}.ffn.i"), linear(state, f"{block}.ffn.o")),
                ACTIVATIONS[config.activation],
                pre_norm=False,
                dropout=config.dropout,
                drop_path=rate,
            )
            for block, rate in block_rates("encoder_stack.block", config)
        )
        self.pooler = linear(state, "pooler")
        self.proj = linear(state, "proj") if config.projection else nn.Identity()

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = F.embedding(ids, self.words) + self.positions[: ids.shape[1]]
        x = self.dropout(self.norm(x if self.token_types is None else x + self.token_types[0]))
        there = ids != PAD_ID
        allowed = None if bool(there.all()) else there[:, None, None, :]
        for block in self.blocks:
            x = block(x, allowed)
        return self.proj(torch.tanh(self.pooler(x[:, 0])))

"""A dual encoder whose image tokens and text tokens pass one transformer, the same for both (COOKIE)."""

from collections.abc import Iterable

import paddle

from ..config.model import ModelConfig
from .dual_encoder import DualEncoder
from .layers import Linear
from .post_norm import PostNormLayers
from .towers.ernie import PAD_ID


class SharedEncoder(DualEncoder):
    """Tokens of either tower through a Linear of its modality, the shared transformer, and one pooling.

    width: of the shared transformer and of the embeddings; layers: sizes of PostNormLayers beside it; pooling: mean
    (over the tokens that are there) or first (the class token, [CLS]).
    """

    def __init__(
        self,
        config: ModelConfig,
        groups: Iterable[str],
        biased: bool,
        width: int,
        layers: dict[str, int | float | str],
        pooling: str = "mean",
    ):
        super().__init__(config, groups, biased)
        self.pooling = pooling
        self.shared = PostNormLayers(width, **layers)
        if self.visual is not None:
            self.image_proj = Linear(config.image_tower.width, width)
        if self.text_model is not None:
            self.text_proj = Linear(config.text_tower.width, width)
            for parameter in self.text_model.pooler.parameters():  # reaches nothing here
                parameter.stop_gradient = True

    def pooled(self, tokens: paddle.Tensor, there: paddle.Tensor | None = None) -> paddle.Tensor:
        """Projected tokens [B, N, W] through the shared layers to embeddings [B, W]; there: bool [B, N]."""
        x = self.shared(tokens, there)
        if self.pooling == "first":
            return x[:, 0]
        if there is None:
            return x.mean(1)
        present = there.astype(x.dtype)
        return (x * present.unsqueeze(-1)).sum(1) / present.sum(1, keepdim=True)

    def encode_image(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """pixels float32 [B, 3, S, S] -> raw embeddings [B, W]."""
        return self.pooled(self.image_proj(self.visual.tokens(pixels)))

    def encode_text(self, ids: paddle.Tensor) -> paddle.Tensor:
        """token ids int64 [B, L], padded with 0 -> raw embeddings [B, W]."""
        return self.pooled(self.text_proj(self.text_model.tokens(ids)), ids != PAD_ID)

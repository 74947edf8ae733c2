"""A one-stream scorer, as a measure of what two streams save: every pair of an image and a text passes it together.

It exists here to be timed, with random weights. Its image tower may run once an image, as that of a two-stream model;
the joint transformer sees image tokens and text tokens of one pair, so nothing of it can be kept for another.
"""

import paddle
from paddle import nn

from ...config.model import ModelConfig
from ...models.dual_encoder import layer_of
from ...models.layers import Linear
from ...models.towers.ernie import PAD_ID, padding_bias


class OneStreamScorer(nn.Layer):
    """Image tokens and a text's embedded ids through the blocks of the text tower, then a score of [CLS]."""

    def __init__(self, config: ModelConfig):
        super().__init__()
        self.visual, self.joint = layer_of(config.image_tower), layer_of(config.text_tower)
        self.image_proj = Linear(config.image_tower.width, config.text_tower.width)
        self.score = Linear(config.text_tower.width, 1)

    def image_tokens(self, pixels: paddle.Tensor) -> paddle.Tensor:
        """What may be kept of an image: [B, 3, S, S] -> [B, N, W]."""
        return self.image_proj(self.visual.tokens(pixels))

    def forward(self, image_tokens: paddle.Tensor, ids: paddle.Tensor) -> paddle.Tensor:
        """[B, N, W] and ids [B, L], padded with 0 -> a score of every pair, [B]."""
        words = self.joint.embedded(ids)
        images = image_tokens.shape[1]
        there = paddle.concat([ids, paddle.full([ids.shape[0], images], PAD_ID + 1, ids.dtype)], axis=1)
        x = self.joint.encoder_stack(paddle.concat([words, image_tokens], axis=1), padding_bias(there, words.dtype))
        return self.score(x[:, 0]).squeeze(-1)

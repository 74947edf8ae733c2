"""A dual encoder over boxes of an image and all tokens of a text, each with a transformer of its own (BriVL)."""

from collections.abc import Iterable

import paddle
import paddle.nn.functional as F

from ..config.model import ModelConfig
from .dual_encoder import DualEncoder
from .layers import size_of
from .regions import CellProjection, box_features, grid_boxes
from .token_head import TokenHead
from .towers.ernie import PAD_ID


class RegionHead(TokenHead):
    """A TokenHead over boxes: feature map [B, C, h, w] and boxes -> raw embeddings [B, D]."""

    def __init__(self, width: int, **sizes: float):
        super().__init__(width, **sizes)
        self.cell_proj = CellProjection(width, width)


class RegionEncoder(DualEncoder):
    """EfficientNet and BERT under heads that read all of their tokens.

    heads: sizes of TokenHead that both have in common; image_heads, text_heads: of attention. grid: boxes a side where
    the image is divided instead of looked through by a detector; 0 for none. cells: samples a side of a box, which lie
    as the release's do, or inside of it (aligned).
    """

    def __init__(
        self,
        config: ModelConfig,
        groups: Iterable[str],
        biased: bool,
        heads: dict[str, float],
        image_heads: int,
        text_heads: int,
        grid: int = 0,
        cells: int = 4,
        aligned: bool = False,
    ):
        super().__init__(config, groups, biased)
        self.grid, self.cells, self.aligned = grid, cells, aligned
        if self.visual is not None:
            self.image_head = RegionHead(config.image_tower.width, heads=image_heads, **heads)
        if self.text_model is not None:
            self.text_head = TokenHead(config.text_tower.width, heads=text_heads, **heads)
            for parameter in self.text_model.pooler.parameters():  # reaches nothing here
                parameter.stop_gradient = True

    def default_boxes(self) -> paddle.Tensor:
        """The boxes of an image without any of its own: float32 [m, 4] in pixels of the input, the whole image last."""
        size = self.config.pixels.size
        divided = grid_boxes(size, self.grid) if self.grid else []
        return paddle.to_tensor([*divided, [0.0, 0.0, size, size]], "float32")

    def box_features(self, pixels: paddle.Tensor, boxes: paddle.Tensor) -> paddle.Tensor:
        """Projected features of every box: [B, 3, S, S] and float32 [B, M, 4] -> [B, M, C]."""
        return self.image_head.cell_proj(
            box_features(self.visual.features(pixels), boxes, self.config.pixels.size, self.cells, self.aligned)
        )

    def encode_image(
        self, pixels: paddle.Tensor, boxes: paddle.Tensor | None = None, counts: paddle.Tensor | None = None
    ) -> paddle.Tensor:
        """pixels float32 [B, 3, S, S], boxes float32 [B, M, 4] in pixels of the input, of which the first `counts`
        int64 [B] are there -> raw embeddings [B, D]. Without boxes every image has `default_boxes`."""
        if boxes is None:
            own = self.default_boxes()
            batch = size_of(pixels, 0)
            boxes = own.unsqueeze(0).expand([batch, *own.shape])
            counts = paddle.full([batch], own.shape[0], "int64")
        there = paddle.arange(boxes.shape[1]) < counts.unsqueeze(-1)
        return self.image_head(self.box_features(pixels, boxes), there)

    def whole_length(self, ids: paddle.Tensor) -> paddle.Tensor:
        """ids [B, L] padded to the fixed length, on which the embedding depends, whoever else is in the batch."""
        return F.pad(ids, [0, self.config.max_length - ids.shape[1]], value=PAD_ID, pad_from_left_axis=False)

    def encode_text(self, ids: paddle.Tensor) -> paddle.Tensor:
        """token ids int64 [B, L], padded with 0 -> raw embeddings [B, D]."""
        ids = self.whole_length(ids)
        return self.text_head(self.text_model.tokens(ids, masked=False), ids != PAD_ID)

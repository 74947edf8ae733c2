"""BriVL (WenLan, arXiv 2103.06561): boxes of an image and tokens of a text, trained against queues of keys.

The release's step is `objective.negatives: queue` with `positives: one` and a fixed temperature; docs/brivl.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import paddle
from paddle import nn

from ..config.model import ModelConfig
from ..config.model_size import check_size
from ..config.tower_fields import DROPPED, MAX_DEPTH, MAX_WIDTH, EfficientNetConfig, ImageTowerConfig
from ..data.batches.views import Batch
from ..errors import ConfigError
from ..models.post_norm import post_norm_parameters
from ..models.region_encoder import RegionEncoder
from ..objectives.gather import Share
from ..schema import document
from .ernie_vil2 import ErnieVil2
from .system import Tower, check_tokens

SIZES = ("hidden", "feed_forward", "dropout")
MOST_BOXES, MOST_SIDE = 1024, 64


class BriVL(ErnieVil2):
    """Image tower with boxes and text tower without a mask, each under a transformer, a masked mean and an MLP."""

    kind = "brivl"
    rows_independent = True
    loss_factor = 2.0

    @dataclass
    class Settings:
        """What `model.settings` holds; the defaults are those of release 1.0."""

        embed_dim: int = document(2048, "width of the embeddings", minimum=1, maximum=MAX_WIDTH)
        regions: str = document(
            "boxes",
            "boxes: those of a detector and the whole image; grid: the image divided, and the whole image",
            choices=("boxes", "grid"),
        )
        most_boxes: int = document(
            36, "boxes of an image that are taken, the first ones", minimum=1, maximum=MOST_BOXES
        )
        grid: int = document(6, "boxes a side where regions is grid", minimum=1, maximum=MOST_SIDE)
        cells: int = document(4, "samples a side of a box", minimum=1, maximum=MOST_SIDE)
        sampling: str = document(
            "release",
            "release: samples where the release's lie, of small maps partly outside; aligned: inside of every box",
            choices=("release", "aligned"),
        )
        layers: int = document(4, "of both transformers", minimum=1, maximum=MAX_DEPTH)
        image_heads: int = document(4, "attention heads over boxes", minimum=1, maximum=MAX_WIDTH)
        text_heads: int = document(4, "attention heads over tokens", minimum=1, maximum=MAX_WIDTH)
        feed_forward: int = document(2048, "hidden width of the transformers' blocks", minimum=1, maximum=MAX_WIDTH)
        hidden: int = document(2048, "hidden width of the last two Linear layers", minimum=1, maximum=MAX_WIDTH)
        dropout: float = document(0.1, "in the transformers, in training", **DROPPED)

    @classmethod
    def settings(cls, config: ModelConfig) -> Settings:
        """`model.settings`, checked with the towers; ConfigError for what does not go together."""
        found = super().settings(config)
        for name, tower, kinds, heads in (
            ("image", config.image_tower, ("efficientnet", "vit"), found.image_heads),
            ("text", config.text_tower, ("ernie",), found.text_heads),
        ):
            if tower is None:
                continue
            check_tokens(cls.kind, name, tower, kinds)
            if tower.width % heads:
                raise ConfigError(
                    f"model.settings.{name}_heads {heads} does not divide the width {tower.width} of model.{name}_tower"
                    "; choose heads that divide it"
                )
        if "embed_dim" not in config.settings:
            raise ConfigError(f"model.settings.embed_dim is not set; the release has {found.embed_dim}")
        if config.image_tower is not None:
            check_map(config.image_tower)
        if config.text_tower is not None and not config.fixed_length:
            raise ConfigError(
                f"model.fixed_length is false, but texts of the system {cls.kind} depend on padding; set it to true"
            )
        check_size(cls.parts(config, found))
        return found

    @classmethod
    def parameters(cls, config: ModelConfig) -> dict[str, int]:
        """Those of the towers, and of both heads."""
        return cls.parts(config, cls.settings(config))

    @classmethod
    def parts(cls, config: ModelConfig, found: Settings) -> dict[str, int]:
        """{part: its parameters}, biases and norms left out."""
        heads = 0
        for tower in config.towers().values():
            layer = post_norm_parameters(tower.width, found.feed_forward)
            heads += found.layers * layer + found.hidden * (tower.width + found.embed_dim)
        return super().parameters(config) | {"model.settings": heads}

    @classmethod
    def most_boxes(cls, config: ModelConfig) -> int:
        """As many as are taken of a detector's, or 0 with a grid."""
        found = cls.settings(config)
        return found.most_boxes if found.regions == "boxes" else 0

    @classmethod
    def network(cls, config: ModelConfig, groups: tuple[str, ...] = ("mm",), biased: bool = False) -> nn.Layer:
        """The dual encoder over boxes and tokens."""
        found = cls.settings(config)
        sizes = {name: getattr(found, name) for name in SIZES} | {"outputs": found.embed_dim, "depth": found.layers}
        grid = found.grid if found.regions == "grid" else 0
        heads, aligned = (found.image_heads, found.text_heads), found.sampling == "aligned"
        return RegionEncoder(config, groups, biased, sizes, *heads, grid, found.cells, aligned)

    def towers(self) -> dict[str, Tower]:
        """image and text, each with its head."""
        heads = {"image": self.model.image_head, "text": self.model.text_head}
        return {name: Tower(tower.views, (*tower.layers, heads[name])) for name, tower in super().towers().items()}

    @classmethod
    def masks_texts(cls, config: ModelConfig) -> bool:
        """Whether the text tower or its head drops anything."""
        return bool(cls.settings(config).dropout) or super().masks_texts(config)

    def draws_masks(self) -> bool:
        """Whether a tower or a head drops anything in training."""
        return bool(self.settings(self.model.config).dropout) or super().draws_masks()

    def loss(
        self, embeds: Mapping[str, paddle.Tensor], batch: Batch, share: Share | None = None
    ) -> dict[str, paddle.Tensor]:
        """As the objective's, but the sum of both directions of a pair, as in the release, and not their mean."""
        return {name: self.loss_factor * value for name, value in super().loss(embeds, batch, share).items()}


def check_map(tower: EfficientNetConfig | ImageTowerConfig) -> None:
    """ConfigError for an image tower whose feature map has no room for boxes."""
    least = 2 * tower.patch_size if tower.kind == "vit" else 33
    if tower.image_size < least:
        raise ConfigError(
            f"model.image_tower.image_size {tower.image_size} gives a feature map of one place, which has no boxes; "
            f"make it {least} or more"
        )
    if getattr(tower, "patch_dropout", 0):
        raise ConfigError(
            f"model.image_tower.patch_dropout is {tower.patch_dropout}, but boxes look at a map of all patches; "
            "set it to 0"
        )

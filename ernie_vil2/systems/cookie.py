"""COOKIE (ICCV 2021; arXiv 2207.00733): one weight-sharing transformer on top of an image and a text encoder.

Its three losses are pairs of views of the objective: image and caption, two augmented images, and a caption under two
dropout masks. No code of it was published: every default here is this project's own, docs/cookie.md gives the reasons.
"""

from dataclasses import dataclass

from paddle import nn

from ..config.model import ModelConfig
from ..config.model_size import check_size
from ..config.tower_fields import ACTIVATIONS, DROPPED, MAX_DEPTH, MAX_WIDTH
from ..errors import ConfigError
from ..models.post_norm import post_norm_parameters
from ..models.shared_encoder import SharedEncoder
from ..schema import document
from .ernie_vil2 import ErnieVil2
from .system import Tower, check_tokens

SIZES = ("heads", "feed_forward", "dropout", "activation")
TOWERS = {"image": ("vit", "efficientnet"), "text": ("ernie",)}


class Cookie(ErnieVil2):
    """Both towers give tokens, which the same layers read; without such layers it is the dual encoder itself."""

    kind = "cookie"
    rows_independent = True

    @dataclass
    class Settings:
        """What `model.settings` holds; all of them are this project's own."""

        layers: int = document(
            2, "shared layers; 0: none, and the towers' own embeddings", minimum=0, maximum=MAX_DEPTH
        )
        embed_dim: int = document(
            0, "width of the shared layers and the embeddings; 0: that of the towers", minimum=0, maximum=MAX_WIDTH
        )
        heads: int = document(12, "attention heads of a shared layer", minimum=1, maximum=MAX_WIDTH)
        feed_forward: int = document(3072, "hidden width of a shared layer", minimum=1, maximum=MAX_WIDTH)
        dropout: float = document(0.1, "in the shared layers, in training", **DROPPED)
        activation: str = document("gelu", "between the two Linear of a shared layer", choices=ACTIVATIONS)
        pooling: str = document(
            "mean", "mean: over all tokens of an image or a text; first: its class token", choices=("mean", "first")
        )

    @classmethod
    def settings(cls, config: ModelConfig) -> Settings:
        """`model.settings`, checked with the towers; ConfigError for what does not go together."""
        found = super().settings(config)
        if not found.layers:
            if found.embed_dim:
                raise ConfigError(
                    f"model.settings.embed_dim is {found.embed_dim}, but with layers 0 nothing makes that width; leave "
                    "it out, and set projection of the towers"
                )
            return found
        for name, tower in config.towers().items():
            check_tokens(cls.kind, name, tower, TOWERS[name])
        width = config.embed_dims()[config.image_tower is None]
        if width % found.heads:
            raise ConfigError(
                f"model.settings.heads {found.heads} does not divide the shared width {width}; choose heads that do"
            )
        if found.pooling == "first" and getattr(config.image_tower, "kind", "") == "efficientnet":
            raise ConfigError("model.settings.pooling is first, but an efficientnet has no class token; set it to mean")
        check_size(cls.parts(config, found))
        return found

    @classmethod
    def parameters(cls, config: ModelConfig) -> dict[str, int]:
        """Those of the towers, and of the layers above them."""
        return cls.parts(config, cls.settings(config))

    @classmethod
    def parts(cls, config: ModelConfig, found: Settings) -> dict[str, int]:
        """{part: its parameters}, biases and norms left out."""
        width = config.embed_dims()[config.image_tower is None]
        shared = found.layers * post_norm_parameters(width, found.feed_forward)
        own = width * sum(tower.width for tower in config.towers().values()) if found.layers else 0
        return super().parameters(config) | {"model.settings": shared + own}

    @classmethod
    def network(cls, config: ModelConfig, groups: tuple[str, ...] = ("mm",), biased: bool = False) -> nn.Layer:
        """The towers under their shared layers, or the dual encoder where there are none."""
        found = cls.settings(config)
        if not found.layers:
            return super().network(config, groups, biased)
        width = config.embed_dims()[config.image_tower is None]
        sizes = {name: getattr(found, name) for name in SIZES} | {"depth": found.layers}
        return SharedEncoder(config, groups, biased, width, sizes, found.pooling)

    def towers(self) -> dict[str, Tower]:
        """image and text, each with its Linear and with the shared layers, which both name."""
        found, model = super().towers(), self.model
        if not isinstance(model, SharedEncoder):
            return found
        own = {"image": model.image_proj, "text": model.text_proj}
        return {name: Tower(tower.views, (*tower.layers, own[name], model.shared)) for name, tower in found.items()}

    @classmethod
    def masks_texts(cls, config: ModelConfig) -> bool:
        """Whether the text tower or the shared layers drop anything."""
        found = cls.settings(config)
        return bool(found.layers and found.dropout) or super().masks_texts(config)

    def draws_masks(self) -> bool:
        """Whether a tower or the shared layers drop anything in training."""
        found = self.settings(self.model.config)
        return bool(found.layers and found.dropout) or super().draws_masks()

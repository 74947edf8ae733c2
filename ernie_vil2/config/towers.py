"""One record per kind of tower: what everything that tells kinds apart needs to know of each.

A new kind is a module in `models/towers/` and a record here, whose fields and shapes stand in the files beside.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass

from ..schema import kind_of
from .tower_fields import (
    EfficientNetConfig,
    ImageTowerConfig,
    PaddleClasConfig,
    PaddleNLPConfig,
    TextTowerConfig,
    Tower,
)
from .tower_shapes import Shapes, efficientnet_shapes, ernie_shapes, head_shapes, vit_shapes

SIDES = {"image": "visual.", "text": "text_model."}
"""side -> beginning of the keys of its tower, whatever the kind"""
READING = {
    "image": ("pixels.decoder", "pixels.interpolation", "pixels.resize", "pixels.mean", "pixels.std"),
    "text": ("lower_case", "tokenizer"),
}
"""side -> keys of a ModelConfig that say how its tower's input is made, sizes apart"""


@dataclass(frozen=True)
class TowerKind:
    """A kind of tower; keys, names and patterns in it are without the prefix of its side.

    config: dataclass of its fields, whose `kind` is its name. side: image or text. layer: module of `models/towers/`
    and class in it, imported when one is built. manifest(config) -> {key: shape} of all but what another library
    builds, whose keys begin with library_part ("" where none does) and are known to the library only.

    blocks: pattern of the beginning of a key, up to the number of its block, which is its group; None where blocks are
    not numbered. above_blocks: pattern of whole keys that come after the last block. adapted: ends of the names of the
    Linear layers that low-rank updates adapt. compared: fields that must be equal where weights are taken over.
    any_size: whether it takes images of any size. looked_up: whether `settings` of its library are found by name, and
    a vocabulary in its folder.
    """

    config: type[Tower]
    side: str
    layer: str
    manifest: Callable[..., Shapes]
    above_blocks: str
    compared: tuple[str, ...]
    blocks: str | None = None
    library_part: str = ""
    adapted: tuple[str, ...] = ()
    any_size: bool = False
    looked_up: bool = False

    @property
    def prefix(self) -> str:
        """Beginning of the keys of such a tower in the state of a model."""
        return SIDES[self.side]

    def shapes(self, tower: Tower) -> Shapes:
        """{key: shape} in the state of a model, apart from what another library builds."""
        return {self.prefix + key: shape for key, shape in self.manifest(tower).items()}

    def block(self, key: str) -> re.Match | None:
        """The match of `blocks` at the beginning of a model's key; None outside of numbered blocks."""
        return self.blocks and re.match(re.escape(self.prefix) + self.blocks, key)

    def is_above_blocks(self, key: str) -> bool:
        """Whether a model's key is that of a parameter after the last block."""
        return bool(re.fullmatch(re.escape(self.prefix) + self.above_blocks, key))


TRANSFORMER = ("width", "depth", "heads", "mlp_ratio", "activation", "epsilon", "projection")
VIT = TowerKind(
    config=ImageTowerConfig,
    side="image",
    layer="vit.VisionTransformer",
    manifest=vit_shapes,
    blocks=r"blocks\.(\d+)\.",
    above_blocks=r"(norm_post|proj)\..*",
    adapted=("attn.qkv", "attn.proj"),
    compared=(*TRANSFORMER, "patch_size", "patch_bias", "pre_norm"),
)
EFFICIENTNET = TowerKind(
    config=EfficientNetConfig,
    side="image",
    layer="efficientnet.EfficientNet",
    manifest=efficientnet_shapes,
    blocks=r"blocks\.(\d+)\.",
    above_blocks=r"(head_conv|head_norm|proj)\..*",
    compared=("width", "epsilon", "projection", "variant", "width_factor", "depth_factor", "padding"),
    any_size=True,
)
PADDLECLAS = TowerKind(
    config=PaddleClasConfig,
    side="image",
    layer="paddleclas.PaddleClasTower",
    manifest=head_shapes,
    library_part="backbone.",
    above_blocks=r"proj\..*",
    compared=("width", "projection", "paddleclas"),
)
ERNIE = TowerKind(
    config=TextTowerConfig,
    side="text",
    layer="ernie.ErnieEncoder",
    manifest=ernie_shapes,
    blocks=r"encoder_stack\.block\.(\d+)\.",
    above_blocks=r"(pooler|proj)\..*",
    adapted=("attn.q", "attn.k", "attn.v", "attn.o"),
    compared=(*TRANSFORMER, "token_types"),
)
PADDLENLP = TowerKind(
    config=PaddleNLPConfig,
    side="text",
    layer="paddlenlp.PaddleNLPTower",
    manifest=head_shapes,
    library_part="encoder.",
    looked_up=True,
    blocks=r"encoder\.(?:\w+\.)*layers?\.(\d+)\.",
    above_blocks=r"(encoder\.pooler|proj)\..*",
    compared=("width", "projection"),
)
KINDS = {kind_of(kind.config): kind for kind in (VIT, EFFICIENTNET, PADDLECLAS, ERNIE, PADDLENLP)}
"""name -> TowerKind"""
LIBRARIES = tuple(name for name, kind in KINDS.items() if kind.library_part)
"""Kinds that another library builds, which may do more than this project knows"""

"""One record per kind of tower: what everything that tells kinds apart needs to know of each.

A new kind is a module in `models/towers/` and a record here, whose fields and shapes stand in the files beside; a kind
of somebody else's comes from outside through `register_tower` (docs/extending.md).
"""

import dataclasses
import importlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..errors import ConfigError, UserError
from ..plugins import origin, remember, same_class, told_place
from ..schema import FURTHER, kind_of
from .tower_fields import (
    FIRST,
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

    config: dataclass of its fields, a `Tower` whose `kind` is its name. side: image or text. layer: the Paddle layer,
    made by `layer(config)`, or "module.Class", imported when one is built: an image layer takes pixels float32
    [B, 3, S, S], a text layer token ids int64 [B, L] padded with 0, and both give raw embeddings [B, D] with
    D = config.embed_dim(). manifest(config) -> {key: shape} of all but what another library builds, whose keys begin
    with library_part ("" where none does) and are known to the library only; None: a built layer is asked.

    blocks: pattern of the beginning of a key, up to the number of its block, which is its group; None where blocks are
    not numbered. above_blocks: pattern of whole keys that come after the last block. adapted: ends of the names of the
    Linear layers that low-rank updates adapt. compared: fields that must be equal where weights are taken over.
    any_size: whether it takes images of any size. looked_up: whether `settings` of its library are found by name, and
    a vocabulary in its folder. keyed_masks: whether it computes a row from that row alone, and draws what it drops by
    `models.masks` only, so that threads may divide a batch.
    """

    config: type[Tower]
    side: str
    layer: str | Callable[..., Any]
    manifest: Callable[..., Shapes] | None = None
    above_blocks: str = r"proj\..*"
    compared: tuple[str, ...] = ()
    blocks: str | None = None
    library_part: str = ""
    adapted: tuple[str, ...] = ()
    any_size: bool = False
    looked_up: bool = False
    keyed_masks: bool = False

    @property
    def prefix(self) -> str:
        """Beginning of the keys of such a tower in the state of a model."""
        return SIDES[self.side]

    def built(self, tower: Tower) -> Any:
        """The layer of a tower, whose module is imported now: a library's may not be installed."""
        try:
            if not isinstance(self.layer, str):
                return self.layer(tower)
            module, _, name = self.layer.rpartition(".")
            return getattr(importlib.import_module(module), name)(tower)
        except UserError:
            raise
        except Exception as error:
            if origin("tower", tower.kind) is None:
                raise
            told = f"the layer of the {self.side} tower of kind {tower.kind} cannot be built"
            raise ConfigError(f"{told}{told_place(error)}, or in model.{self.side}_tower") from error

    def block(self, key: str) -> re.Match | None:
        """The match of `blocks` at the beginning of a model's key; None outside of numbered blocks."""
        return self.blocks and re.match(re.escape(self.prefix) + self.blocks, key)

    def is_above_blocks(self, key: str) -> bool:
        """Whether a model's key is that of a parameter after the last block."""
        return bool(re.fullmatch(re.escape(self.prefix) + self.above_blocks, key))


LAYERS = "ernie_vil2.models.towers"
TRANSFORMER = ("width", "depth", "heads", "mlp_ratio", "activation", "epsilon", "projection")
VIT = TowerKind(
    config=ImageTowerConfig,
    side="image",
    layer=f"{LAYERS}.vit.VisionTransformer",
    manifest=vit_shapes,
    keyed_masks=True,
    blocks=r"blocks\.(\d+)\.",
    above_blocks=r"(norm_post|proj)\..*",
    adapted=("attn.qkv", "attn.proj"),
    compared=(*TRANSFORMER, "patch_size", "patch_bias", "pre_norm"),
)
EFFICIENTNET = TowerKind(
    config=EfficientNetConfig,
    side="image",
    layer=f"{LAYERS}.efficientnet.EfficientNet",
    manifest=efficientnet_shapes,
    keyed_masks=True,
    blocks=r"blocks\.(\d+)\.",
    above_blocks=r"(head_conv|head_norm|proj)\..*",
    compared=("width", "epsilon", "projection", "variant", "width_factor", "depth_factor", "padding"),
    any_size=True,
)
PADDLECLAS = TowerKind(
    config=PaddleClasConfig,
    side="image",
    layer=f"{LAYERS}.paddleclas.PaddleClasTower",
    manifest=head_shapes,
    library_part="backbone.",
    above_blocks=r"proj\..*",
    compared=("width", "projection", "paddleclas"),
)
ERNIE = TowerKind(
    config=TextTowerConfig,
    side="text",
    layer=f"{LAYERS}.ernie.ErnieEncoder",
    manifest=ernie_shapes,
    keyed_masks=True,
    blocks=r"encoder_stack\.block\.(\d+)\.",
    above_blocks=r"(pooler|proj)\..*",
    adapted=("attn.q", "attn.k", "attn.v", "attn.o"),
    compared=(*TRANSFORMER, "token_types"),
)
PADDLENLP = TowerKind(
    config=PaddleNLPConfig,
    side="text",
    layer=f"{LAYERS}.paddlenlp.PaddleNLPTower",
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


def register_tower(kind: TowerKind) -> None:
    """Make a kind of tower known in this process: to configurations, training, loading and all that encodes.

    Its record is checked here: ConfigError for a name that is taken, or fields that are none of a `Tower`.
    """
    if not isinstance(kind, TowerKind) or not isinstance(kind.config, type):
        raise ConfigError("register_tower needs TowerKind(CONFIG, SIDE, LAYER, ...) with a class as CONFIG; give that")
    name = kind_of(kind.config)
    if not (isinstance(name, str) and name and issubclass(kind.config, Tower) and kind.side in SIDES):
        raise ConfigError(
            f"register_tower: {kind.config.__name__} must be a dataclass derived from Tower whose field `kind` is its "
            f"name, of side image or text; here kind is {name!r} and side {kind.side!r}"
        )
    check_patterns(name, kind)
    if name in KINDS and not same_class(KINDS[name].config, kind.config):
        raise ConfigError(f"register_tower: there is a tower of kind {name} already; choose another name")
    wanted = ("width", *(("image_size",) if kind.side == "image" else ("vocab_size", "positions")))
    known = {field.name for field in dataclasses.fields(kind.config)}
    lacking = [field for field in wanted if field not in known and not hasattr(kind.config, field)]
    if lacking:
        raise ConfigError(f"register_tower: {kind.config.__name__} lacks {', '.join(lacking)}; add it as a field")
    KINDS[name] = kind
    FURTHER[FIRST[kind.side]][name] = kind.config
    remember("tower", name, kind.config, kind.layer)


def check_patterns(name: str, kind: TowerKind) -> None:
    """ConfigError where `blocks` or `above_blocks` is no regular expression, or `blocks` catches no number."""
    for field in ("blocks", "above_blocks"):
        try:
            groups = re.compile(getattr(kind, field) or r"(\d+)").groups
        except (re.error, TypeError) as error:
            told = f"register_tower: {field} of {name} is no regular expression"
            raise ConfigError(f"{told} ({error}); correct it") from None
        if field == "blocks" and groups != 1:
            raise ConfigError(
                rf"register_tower: blocks of {name} must have one group, the number of the block; write blocks\.(\d+)\."
            )


def keyed_masks(tower: Tower) -> bool:
    """Whether all that a tower drops in training is drawn by key, row by row (`TowerKind.keyed_masks`)."""
    return KINDS[tower.kind].keyed_masks

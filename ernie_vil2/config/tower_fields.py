"""The fields of a tower's configuration, by kind: `image_tower` and `text_tower` of a model.

`kind` says which it is, or a key of that name does, as in `text_tower: {paddlenlp: ernie-3.0-base-zh}`.
"""

import math
import typing
from dataclasses import dataclass

from ..errors import ConfigError
from ..schema import FURTHER, document

ACTIVATIONS = ("quick_gelu", "gelu", "relu")
EFFICIENTNETS = {
    "b0": (1.0, 1.0, 224), "b1": (1.0, 1.1, 240), "b2": (1.1, 1.2, 260), "b3": (1.2, 1.4, 300), "b4": (1.4, 1.8, 380),
    "b5": (1.6, 2.2, 456), "b6": (1.8, 2.6, 528), "b7": (2.0, 3.1, 600), "l2": (4.3, 5.3, 800),
}  # fmt: skip
"""variant -> factor of widths, factor of depths, published resolution (arXiv 1905.11946; L2: arXiv 1911.04252)"""
STAGES = (
    (1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)  # fmt: skip
"""Stages of b0: blocks, kernel, stride of the first block, expansion, channels"""
MAX_SIDE, MAX_WIDTH, MAX_DEPTH, MAX_POSITIONS, MAX_VOCAB = 8192, 65536, 1000, 1 << 20, 10_000_000
"""Of pixels, channels, blocks, tokens and rows: what is beyond is a slip of the pen, which no memory holds"""
EPSILON = {"minimum": 1e-12, "maximum": 0.1}
"""Of a norm: below, float32 has nothing to hold it with; above, it is no longer a norm"""
FACTOR = {"minimum": 0, "maximum": 10.0}
DROPPED = {"fraction": True, "maximum": 0.99}
"""A share that is left out: the rest is scaled by 1 / (1 - share)"""
BATCH_NORM = "frozen: statistics of the loaded weights, exact with any batch; train: those of the batch, over all ranks"


class Tower:
    """What towers of all kinds have in common.

    A kind is a dataclass derived from it, with `kind` (its name), `width` (of what its layer ends in before a
    projection), and `image_size` (image) or `vocab_size` and `positions` (text); what stands here need not be a field.
    """

    projection = 0
    dropout = drop_path = 0.0

    def embed_dim(self) -> int:
        """Width of the embedding."""
        return self.projection or self.width

    def check(self, name: str) -> None:
        """ConfigError, naming the tower `name`, for values that do not go together; here none depend on others."""


@dataclass
class ImageTowerConfig(Tower):
    """The image tower; the defaults are the released base ViT."""

    kind: str = document("vit", "vit", choices=("vit",))
    image_size: int = document(224, "side of the input in pixels", minimum=1, maximum=MAX_SIDE)
    patch_size: int = document(16, "side of a patch in pixels", minimum=1, maximum=MAX_SIDE)
    patch_bias: bool = document(False, "whether the patch convolution has a bias")
    pre_norm: bool = document(True, "LayerNorm before the first block (`norm_pre`)")
    width: int = document(768, "width of a token", minimum=1, maximum=MAX_WIDTH)
    depth: int = document(12, "number of blocks", minimum=1, maximum=MAX_DEPTH)
    heads: int = document(12, "attention heads", minimum=1, maximum=MAX_WIDTH)
    mlp_ratio: float = document(4.0, "hidden width of the MLP over the width", minimum=0.01, maximum=100.0)
    activation: str = document("quick_gelu", "quick_gelu, gelu (erf) or relu", choices=ACTIVATIONS)
    epsilon: float = document(1e-6, "of every LayerNorm", **EPSILON)
    projection: int = document(
        0, "width of a bias-free projection of token 0; 0 for none, as released", minimum=0, maximum=MAX_WIDTH
    )
    dropout: float = document(0.0, "after attention projection and MLP, in training", **DROPPED)
    drop_path: float = document(0.0, "stochastic depth of the last block, rising linearly from 0", **DROPPED)
    patch_dropout: float = document(
        0.0, "share of patches left out of a training pass (FLIP, arXiv 2212.00794)", **DROPPED
    )

    def check(self, name: str) -> None:
        """ConfigError, naming the tower `name`, for values that do not go together."""
        check_heads(self, name)
        if self.image_size % self.patch_size:
            raise ConfigError(
                f"{name}.image_size {self.image_size} is not a multiple of patch_size {self.patch_size}; "
                "change one of them"
            )


class MBConv(typing.NamedTuple):
    """Sizes of one block of an EfficientNet; the squeeze has a quarter of `inputs`."""

    kernel: int
    stride: int
    inputs: int
    hidden: int
    outputs: int


@dataclass
class EfficientNetConfig(Tower):
    """An EfficientNet image tower: feature map, global average pool, dropout, Linear and tanh (arXiv 1905.11946)."""

    kind: str = document("efficientnet", "efficientnet", choices=("efficientnet",))
    variant: str = document("b5", "b0 to b7, or l2", choices=tuple(EFFICIENTNETS))
    width_factor: float = document(0.0, "of b0's channels, in place of the variant's; 0 for that", **FACTOR)
    depth_factor: float = document(0.0, "of b0's blocks a stage, in place of the variant's; 0 for that", **FACTOR)
    image_size: int = document(
        456, "side of the input in pixels; published: b0 224, b5 456, b7 600, l2 800", minimum=32, maximum=MAX_SIDE
    )
    padding: str = document(
        "dynamic",
        "dynamic: kernel // 2 on all sides, as PaddleClas's DYNAMIC; same: TensorFlow's at any size, as timm's "
        "tf_efficientnet and PaddleClas's SAME; they differ at even sizes",
        choices=("dynamic", "same"),
    )
    projection: int = document(
        768, "width of the Linear before tanh; 0: the pooled features are it", minimum=0, maximum=MAX_WIDTH
    )
    epsilon: float = document(1e-3, "of every batch norm", **EPSILON)
    batch_norm: str = document("frozen", BATCH_NORM, choices=("frozen", "train"))
    norm_momentum: float = document(
        0.99, "weight of the old statistics in an update; torch's own default is 0.9", fraction=True, maximum=0.99999
    )
    norm_variance: str = document(
        "biased",
        "of a batch, in an update of the statistics; unbiased: as torch",
        choices=("biased", "unbiased"),
    )
    dropout: float = document(0.0, "before the Linear, in training", **DROPPED)
    drop_path: float = document(0.0, "stochastic depth of the last block, rising linearly from 0", **DROPPED)

    @property
    def width(self) -> int:
        """Channels of the feature map."""
        return self.channels(1280)

    @property
    def stem(self) -> int:
        """Channels of the first convolution."""
        return self.channels(32)

    def channels(self, of_b0: int) -> int:
        """Channels where b0 has so many: scaled, as a multiple of 8, at most 10 % below."""
        scaled = of_b0 * (self.width_factor or EFFICIENTNETS[self.variant][0])
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded

    def stage_depths(self) -> list[int]:
        """Blocks of every stage."""
        factor = self.depth_factor or EFFICIENTNETS[self.variant][1]
        return [math.ceil(count * factor) for count, *_ in STAGES]

    def blocks(self) -> list[MBConv]:
        """The MBConv of every block, in order."""
        found, inputs = [], self.stem
        for count, (_, kernel, first_stride, expansion, of_b0) in zip(self.stage_depths(), STAGES, strict=True):
            outputs = self.channels(of_b0)
            for index in range(count):
                stride = 1 if index else first_stride
                found.append(MBConv(kernel, stride, inputs, inputs * expansion, outputs))
                inputs = outputs
        return found


@dataclass
class PaddleClasConfig(Tower):
    """Any backbone of PaddleClas as an image tower, with a Linear and tanh where `projection` is set."""

    kind: str = document("paddleclas", "paddleclas", choices=("paddleclas",))
    paddleclas: str = document("ResNet50", "name of the architecture there, such as ResNet50")
    pretrained: str | None = document(
        None, "file of its weights (.pdparams); download: as PaddleClas publishes them; null: random, or init.image"
    )
    image_size: int = document(224, "side of the input in pixels", minimum=1, maximum=MAX_SIDE)
    width: int = document(2048, "channels of its pooled features", minimum=1, maximum=MAX_WIDTH)
    projection: int = document(
        768, "width of the Linear before tanh; 0: the pooled features are it", minimum=0, maximum=MAX_WIDTH
    )
    batch_norm: str = document("frozen", BATCH_NORM, choices=("frozen", "train"))
    dropout: float = document(0.0, "before the Linear, in training", **DROPPED)
    drop_path: float = document(0.0, "stochastic depth, where the architecture takes `drop_path_rate`", **DROPPED)


@dataclass
class TextTowerConfig(Tower):
    """The text tower; the defaults are the released ERNIE 3.0 base."""

    kind: str = document("ernie", "ernie", choices=("ernie",))
    vocab_size: int = document(
        40000, "rows of the word embedding; 0 in a run: as many as the vocabulary has", minimum=0, maximum=MAX_VOCAB
    )
    positions: int = document(2048, "rows of the position embedding", minimum=1, maximum=MAX_POSITIONS)
    token_types: int = document(
        0, "rows of a token type embedding as BERT has it, of which row 0 is added; 0: none", minimum=0, maximum=1024
    )
    width: int = document(768, "width of a token", minimum=1, maximum=MAX_WIDTH)
    depth: int = document(12, "number of blocks", minimum=1, maximum=MAX_DEPTH)
    heads: int = document(12, "attention heads", minimum=1, maximum=MAX_WIDTH)
    mlp_ratio: float = document(4.0, "hidden width of the feed-forward over the width", minimum=0.01, maximum=100.0)
    activation: str = document("gelu", "gelu (erf), quick_gelu or relu", choices=ACTIVATIONS)
    epsilon: float = document(1e-5, "of every LayerNorm", **EPSILON)
    projection: int = document(
        0, "width of a bias-free projection of the pooled token; 0 for none, as released", minimum=0, maximum=MAX_WIDTH
    )
    dropout: float = document(0.1, "on embeddings, attention and feed-forward, in training", **DROPPED)
    drop_path: float = document(0.0, "stochastic depth of the last block, rising linearly from 0", **DROPPED)

    def check(self, name: str) -> None:
        """ConfigError, naming the tower `name`, for values that do not go together."""
        check_heads(self, name)


@dataclass
class PaddleNLPConfig(Tower):
    """Any encoder of PaddleNLP as a text tower: its pooled token, with a Linear and tanh where `projection` is set."""

    kind: str = document("paddlenlp", "paddlenlp", choices=("paddlenlp",))
    paddlenlp: str = document(
        "ernie-3.0-base-zh", "name of a model there, or a folder with its config.json and weights"
    )
    pretrained: bool = document(True, "start from its weights; false: random, or those of init.text")
    settings: dict[str, typing.Any] = document(dict, "its configuration; empty: looked up by name when it is built")
    vocab_size: int = document(40000, "rows of its word embedding", minimum=1, maximum=MAX_VOCAB)
    positions: int = document(2048, "rows of its position embedding", minimum=1, maximum=MAX_POSITIONS)
    width: int = document(768, "width of its pooled token", minimum=1, maximum=MAX_WIDTH)
    projection: int = document(
        0, "width of the Linear before tanh; 0: the pooled token is it", minimum=0, maximum=MAX_WIDTH
    )
    dropout: float = document(0.1, "before the Linear and in the encoder, in training", **DROPPED)
    drop_path: float = document(0.0, "must be 0: its blocks have none", choices=(0.0,))


ImageTower = ImageTowerConfig | EfficientNetConfig | PaddleClasConfig
TextTower = TextTowerConfig | PaddleNLPConfig
FIRST = {"image": ImageTowerConfig, "text": TextTowerConfig}
"""side -> the kind that a tower is of which names none"""
FURTHER.update({first: {} for first in FIRST.values()})


def check_heads(tower: ImageTowerConfig | TextTowerConfig, name: str) -> None:
    """ConfigError when the heads do not divide the width."""
    if tower.width % tower.heads:
        raise ConfigError(
            f"{name}.width {tower.width} is not a multiple of {name}.heads {tower.heads}; choose heads that divide it"
        )

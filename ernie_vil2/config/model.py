"""Configuration of a model: what config.json of a model directory holds, and `model` of a run.

A tower is one of several kinds, each a dataclass; `kind` says which, or a key of that name does, as in
`text_tower: {paddlenlp: ernie-3.0-base-zh}`.
"""

import math
import typing
from dataclasses import dataclass, replace

from ..errors import ConfigError
from ..schema import as_dict, build, document, kind_of

PLAIN = "ernie_vil2"
"""The system of two separate towers: what a configuration without a system is"""
BESIDE = ("system", "settings")
TOKENIZERS = ("bert", "paddlenlp")
ACTIVATIONS = ("quick_gelu", "gelu", "relu")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)
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
LIBRARIES = ("paddleclas", "paddlenlp")
"""Kinds of towers that another library builds, which may do more than this project knows"""
BATCH_NORM = "frozen: statistics of the loaded weights, exact with any batch; train: those of the batch, over all GPUs"


@dataclass
class PixelProfile:
    """How an image becomes pixels; stored with the weights, since a wrong one costs recall silently."""

    decoder: str = document("opencv", "opencv (EXIF applied, alpha dropped) or pil", choices=("opencv", "pil"))
    interpolation: str = document("linear", "linear or bicubic", choices=("linear", "bicubic"))
    resize: str = document(
        "official",
        "official: long side int(size/short*long)+1; short_side: int(size*long/short); torchvision: the same, its own "
        "centre; paddleclas: both sides rounded; square: both sides become size",
        choices=("official", "short_side", "torchvision", "paddleclas", "square"),
    )
    size: int = document(224, "side of the square crop in pixels", minimum=1)
    resize_to: int = document(
        0, "what the short side (square: both) is resized to before the crop; size, where that is more", minimum=0
    )
    mean: tuple[float, ...] = document(IMAGENET_MEAN, "per RGB channel, of pixels in [0, 1]", length=3)
    std: tuple[float, ...] = document(IMAGENET_STD, "per RGB channel, of pixels in [0, 1]", length=3)

    @property
    def resized(self):
        """What the short side (square: both) is resized to before the crop, in pixels."""
        return max(self.resize_to, self.size)

    @staticmethod
    def presets():
        """The profiles that a configuration may name."""
        return PIXEL_PROFILES


HALF = (0.5, 0.5, 0.5)
PADDLECLAS = PixelProfile(resize="paddleclas", resize_to=256)
CLIP = PixelProfile(decoder="pil", interpolation="bicubic", resize="torchvision", mean=CLIP_MEAN, std=CLIP_STD)
PIXEL_PROFILES = {
    "official": PixelProfile(),
    "bicubic": PixelProfile(decoder="pil", interpolation="bicubic", resize="short_side"),
    "clip": CLIP,
    "chinese_clip": replace(CLIP, resize="square"),
    "paddleclas": PADDLECLAS,
    "paddleclas_vit": replace(PADDLECLAS, mean=HALF, std=HALF),
    "paddleclas_clip": replace(PADDLECLAS, mean=CLIP_MEAN, std=CLIP_STD),
}


class Tower:
    """What towers of all kinds have in common."""

    def embed_dim(self):
        """Width of the embedding."""
        return self.projection or self.width

    def check(self, name):
        """ConfigError, naming the tower `name`, for values that do not go together; here none depend on others."""


@dataclass
class ImageTowerConfig(Tower):
    """The image tower; the defaults are the released base ViT."""

    kind: str = document("vit", "vit", choices=("vit",))
    image_size: int = document(224, "side of the input in pixels", minimum=1)
    patch_size: int = document(16, "side of a patch in pixels", minimum=1)
    patch_bias: bool = document(False, "whether the patch convolution has a bias")
    pre_norm: bool = document(True, "LayerNorm before the first block (`norm_pre`)")
    width: int = document(768, "width of a token", minimum=1)
    depth: int = document(12, "number of blocks", minimum=1)
    heads: int = document(12, "attention heads", minimum=1)
    mlp_ratio: float = document(4.0, "hidden width of the MLP over the width", positive=True)
    activation: str = document("quick_gelu", "quick_gelu, gelu (erf) or relu", choices=ACTIVATIONS)
    epsilon: float = document(1e-6, "of every LayerNorm", positive=True)
    projection: int = document(0, "width of a bias-free projection of token 0; 0 for none, as released", minimum=0)
    dropout: float = document(0.0, "after attention projection and MLP, in training", fraction=True)
    drop_path: float = document(0.0, "stochastic depth of the last block, rising linearly from 0", fraction=True)
    patch_dropout: float = document(
        0.0, "share of patches left out of a training pass (FLIP, arXiv 2212.00794)", fraction=True
    )

    def check(self, name):
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
    image_size: int = document(
        456, "side of the input in pixels; published: b0 224, b5 456, b7 600, l2 800", minimum=32
    )
    padding: str = document(
        "dynamic",
        "dynamic: kernel // 2 on all sides, as PaddleClas's DYNAMIC; same: TensorFlow's at any size, as timm's "
        "tf_efficientnet and PaddleClas's SAME; they differ at even sizes",
        choices=("dynamic", "same"),
    )
    projection: int = document(768, "width of the Linear before tanh; 0: the pooled features are it", minimum=0)
    epsilon: float = document(1e-3, "of every batch norm", positive=True)
    batch_norm: str = document("frozen", BATCH_NORM, choices=("frozen", "train"))
    dropout: float = document(0.0, "before the Linear, in training", fraction=True)
    drop_path: float = document(0.0, "stochastic depth of the last block, rising linearly from 0", fraction=True)

    @property
    def width(self):
        """Channels of the feature map."""
        return self.channels(1280)

    @property
    def stem(self):
        """Channels of the first convolution."""
        return self.channels(32)

    def channels(self, of_b0):
        """Channels where b0 has so many: scaled, as a multiple of 8, at most 10 % below."""
        scaled = of_b0 * EFFICIENTNETS[self.variant][0]
        rounded = max(8, int(scaled + 4) // 8 * 8)
        return rounded + 8 if rounded < 0.9 * scaled else rounded

    def blocks(self):
        """The MBConv of every block, in order."""
        found, inputs = [], self.stem
        for count, kernel, first_stride, expansion, of_b0 in STAGES:
            outputs = self.channels(of_b0)
            for index in range(math.ceil(count * EFFICIENTNETS[self.variant][1])):
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
    image_size: int = document(224, "side of the input in pixels", minimum=1)
    width: int = document(2048, "channels of its pooled features", minimum=1)
    projection: int = document(768, "width of the Linear before tanh; 0: the pooled features are it", minimum=0)
    batch_norm: str = document("frozen", BATCH_NORM, choices=("frozen", "train"))
    dropout: float = document(0.0, "before the Linear, in training", fraction=True)
    drop_path: float = document(0.0, "stochastic depth, where the architecture takes `drop_path_rate`", fraction=True)


@dataclass
class TextTowerConfig(Tower):
    """The text tower; the defaults are the released ERNIE 3.0 base."""

    kind: str = document("ernie", "ernie", choices=("ernie",))
    vocab_size: int = document(
        40000, "rows of the word embedding; 0 in a run: as many as the vocabulary has", minimum=0
    )
    positions: int = document(2048, "rows of the position embedding", minimum=1)
    width: int = document(768, "width of a token", minimum=1)
    depth: int = document(12, "number of blocks", minimum=1)
    heads: int = document(12, "attention heads", minimum=1)
    mlp_ratio: float = document(4.0, "hidden width of the feed-forward over the width", positive=True)
    activation: str = document("gelu", "gelu (erf), quick_gelu or relu", choices=ACTIVATIONS)
    epsilon: float = document(1e-5, "of every LayerNorm", positive=True)
    projection: int = document(
        0, "width of a bias-free projection of the pooled token; 0 for none, as released", minimum=0
    )
    dropout: float = document(0.1, "on embeddings, attention and feed-forward, in training", fraction=True)
    drop_path: float = document(0.0, "stochastic depth of the last block, rising linearly from 0", fraction=True)

    def check(self, name):
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
    vocab_size: int = document(40000, "rows of its word embedding", minimum=1)
    positions: int = document(2048, "rows of its position embedding", minimum=1)
    width: int = document(768, "width of its pooled token", minimum=1)
    projection: int = document(0, "width of the Linear before tanh; 0: the pooled token is it", minimum=0)
    dropout: float = document(0.1, "before the Linear and in the encoder, in training", fraction=True)
    drop_path: float = document(0.0, "must be 0: its blocks have none", choices=(0.0,))


ImageTower = ImageTowerConfig | EfficientNetConfig | PaddleClasConfig
TextTower = TextTowerConfig | PaddleNLPConfig
TOWER_KINDS = tuple(kind_of(cls) for tower in (ImageTower, TextTower) for cls in typing.get_args(tower))


def check_heads(tower, name):
    """ConfigError when the heads do not divide the width."""
    if tower.width % tower.heads:
        raise ConfigError(
            f"{name}.width {tower.width} is not a multiple of {name}.heads {tower.heads}; choose heads that divide it"
        )


@dataclass
class ModelConfig:
    """What config.json of a model directory holds."""

    layout_version: int = document(1, "version of this layout", choices=(1,))
    system: str = document(PLAIN, "what model and objective are together: the name of a module of ernie_vil2/systems/")
    settings: dict[str, typing.Any] = document(dict, "what this system needs beside towers and objective")
    image_tower: ImageTower | None = document(ImageTowerConfig, "the image tower; null where there is only the other")
    text_tower: TextTower | None = document(TextTowerConfig, "the text tower; null where there is only the other")
    max_length: int = document(48, "tokens of a text, [CLS] and [SEP] included", minimum=3)
    tokenizer: str = document(
        "bert",
        "bert: BERT basic tokenisation and WordPiece; paddlenlp: the same, but symbols beyond ASCII are set apart too",
        choices=TOKENIZERS,
    )
    lower_case: bool = document(True, "lower-case and strip accents before WordPiece")
    pixels: PixelProfile = document(PixelProfile, "a pixel profile or the name of a preset")

    def __post_init__(self):
        if self.image_tower is None and self.text_tower is None:
            raise ConfigError("image_tower and text_tower are both null; a model has at least one of them")
        for name in ("image_tower", "text_tower"):
            if getattr(self, name) is not None:
                getattr(self, name).check(name)
        if self.image_tower is not None and self.pixels.size != self.image_tower.image_size:
            raise ConfigError(
                f"pixels.size {self.pixels.size} differs from image_tower.image_size {self.image_tower.image_size}; "
                "make them equal"
            )
        if self.text_tower is not None and self.max_length > self.text_tower.positions:
            raise ConfigError(
                f"max_length {self.max_length} is over text_tower.positions {self.text_tower.positions}; "
                "raise positions"
            )
        image, text = self.embed_dims()
        if None not in (image, text) and image != text:
            raise ConfigError(
                f"the towers end in different widths (image {image}, text {text}); "
                "set projection on one or both to a common width"
            )

    def towers(self):
        """{"image": its configuration, "text": its configuration}, without a tower that there is not."""
        found = {"image": self.image_tower, "text": self.text_tower}
        return {name: tower for name, tower in found.items() if tower is not None}

    def embed_dims(self):
        """Widths (image, text) of the embeddings; None for a tower that there is not."""
        return tuple(tower and tower.embed_dim() for tower in (self.image_tower, self.text_tower))

    @classmethod
    def from_dict(cls, mapping, where="config.json"):
        """Build and check; unknown keys and wrong values raise ConfigError naming `where` and the key."""
        return build(cls, mapping, where)

    def to_dict(self):
        """Plain JSON-able dictionary; from_dict of it gives an equal configuration.

        The plain system is not named, so that earlier releases read its model directories.
        """
        found = as_dict(self)
        return {key: value for key, value in found.items() if key not in BESIDE or value not in (PLAIN, {})}

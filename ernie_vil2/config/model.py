"""Configuration of a model: what config.json of a model directory holds, and `model` of a run."""

import typing
from dataclasses import dataclass, replace

from ..errors import ConfigError
from ..messages import quoted
from ..schema import as_dict, build, document
from .model_size import check_size, parameters
from .tower_fields import (
    MAX_POSITIONS,
    MAX_SIDE,
    MAX_WIDTH,
    ImageTower,
    ImageTowerConfig,
    TextTower,
    TextTowerConfig,
    Tower,
)

PLAIN = "ernie_vil2"
"""The system of two separate towers: what a configuration without a system is"""
BESIDE = ("system", "settings", "fixed_length")
LATER = {"wide_range", "width_factor", "depth_factor", "norm_momentum", "norm_variance", "token_types"}
"""Fields that the first release does not know"""
LATER_SETTINGS = {"brivl": {"sampling": "release"}}
"""{system: {setting that models were once stored without: what that meant}}"""
TOKENIZERS = ("bert", "paddlenlp")
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


@dataclass
class PixelProfile:
    """How an image becomes pixels; stored with the weights, since a wrong one costs recall silently."""

    decoder: str = document("opencv", "opencv (EXIF applied, alpha dropped) or pil", choices=("opencv", "pil"))
    interpolation: str = document(
        "linear",
        "linear or bicubic, by the decoder's library; tensor: linear between floats without antialias, as torch's "
        "interpolate, with resize: square",
        choices=("linear", "bicubic", "tensor"),
    )
    resize: str = document(
        "official",
        "official: long side int(size/short*long)+1; short_side: int(size*long/short); torchvision: the same, its own "
        "centre; paddleclas: both sides rounded; square: both sides become size",
        choices=("official", "short_side", "torchvision", "paddleclas", "square"),
    )
    size: int = document(224, "side of the square crop in pixels", minimum=1, maximum=MAX_SIDE)
    resize_to: int = document(
        0,
        "what the short side (square: both) is resized to before the crop; size, where that is more",
        minimum=0,
        maximum=MAX_SIDE,
    )
    mean: tuple[float, ...] = document(
        IMAGENET_MEAN, "per RGB channel, of pixels in [0, 1]", length=3, minimum=-1.0, maximum=1.0
    )
    std: tuple[float, ...] = document(
        IMAGENET_STD, "per RGB channel, of pixels in [0, 1]", length=3, minimum=0.001, maximum=10.0
    )
    wide_range: str = document(
        "scaled",
        "16-bit grey and float pictures under pil. scaled: 16 bits by their high byte, floats from 0..1 or 0..255; "
        "clipped: as Pillow and CLIP's own code, which make them white or black",
        choices=("scaled", "clipped"),
    )

    def __post_init__(self):
        if self.interpolation == "tensor" and (self.resize, self.decoder) != ("square", "pil"):
            raise ConfigError(
                f"pixels.interpolation tensor goes with resize: square and decoder: pil, not with {self.resize} and "
                f"{self.decoder}; name the preset brivl"
            )

    @property
    def resized(self) -> int:
        """What the short side (square: both) is resized to before the crop, in pixels."""
        return max(self.resize_to, self.size)

    @staticmethod
    def presets() -> "dict[str, PixelProfile]":
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
    "brivl": PixelProfile(decoder="pil", interpolation="tensor", resize="square", size=380, wide_range="clipped"),
}


@dataclass
class ModelConfig:
    """What config.json of a model directory holds."""

    layout_version: int = document(1, "version of this layout", choices=(1,))
    system: str = document(PLAIN, "what model and objective are together: the name of a module of ernie_vil2/systems/")
    settings: dict[str, typing.Any] = document(dict, "what this system needs beside towers and objective")
    image_tower: ImageTower | None = document(ImageTowerConfig, "the image tower; null where there is only the other")
    text_tower: TextTower | None = document(TextTowerConfig, "the text tower; null where there is only the other")
    max_length: int = document(48, "tokens of a text, [CLS] and [SEP] included", minimum=3, maximum=MAX_POSITIONS)
    tokenizer: str = document(
        "bert",
        "bert: BERT basic tokenisation and WordPiece; paddlenlp: the same, but symbols beyond ASCII are set apart too",
        choices=TOKENIZERS,
    )
    lower_case: bool = document(True, "lower-case and strip accents before WordPiece")
    fixed_length: bool = document(
        False, "every text is padded to max_length, for a system whose text tower attends to padding"
    )
    pixels: PixelProfile = document(PixelProfile, "a pixel profile or the name of a preset")

    def __post_init__(self):
        if self.image_tower is None and self.text_tower is None:
            raise ConfigError("image_tower and text_tower are both null; a model has at least one of them")
        self.settings = {**LATER_SETTINGS.get(self.system, {}), **self.settings}
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
        width = self.settings.get("embed_dim", 0)
        if type(width) is not int or not 0 <= width <= MAX_WIDTH:
            rule = f"must be a whole number from 0 to {MAX_WIDTH}"
            raise ConfigError(f"model.settings.embed_dim is {quoted(width)} but {rule}")
        check_size({f"{name}_tower": parameters(tower) for name, tower in self.towers().items()})
        image, text = self.embed_dims()
        if None not in (image, text) and image != text:
            raise ConfigError(
                f"the towers end in different widths (image {image}, text {text}); "
                "set projection on one or both to a common width, or settings.embed_dim where layers of the system's "
                "own come after them"
            )

    def towers(self) -> dict[str, Tower]:
        """{"image": its configuration, "text": its configuration}, without a tower that there is not."""
        found = {"image": self.image_tower, "text": self.text_tower}
        return {name: tower for name, tower in found.items() if tower is not None}

    def embed_dims(self) -> tuple[int | None, int | None]:
        """Widths (image, text) of the embeddings; None for a tower that there is not.

        settings.embed_dim says them where a system has layers of its own after its towers.
        """
        own = self.settings.get("embed_dim")
        return tuple(tower and (own or tower.embed_dim()) for tower in (self.image_tower, self.text_tower))

    @classmethod
    def from_dict(cls, mapping: dict[str, typing.Any], where: str = "config.json") -> "ModelConfig":
        """Build and check; unknown keys and wrong values raise ConfigError naming `where` and the key."""
        return build(cls, mapping, where)

    def to_dict(self) -> dict[str, typing.Any]:
        """Plain JSON-able dictionary; from_dict of it gives an equal configuration.

        The plain system is not named, nor defaults that are newer than the first release, so that earlier ones read
        the directory.
        """
        found = as_dict(self)
        parts = {"pixels": self.pixels} | {f"{name}_tower": tower for name, tower in self.towers().items()}
        for name, part in parts.items():
            for field in LATER.intersection(found[name]):
                if getattr(part, field) == getattr(type(part), field):
                    del found[name][field]
        later = LATER_SETTINGS.get(self.system, {})
        found["settings"] = {key: value for key, value in found["settings"].items() if later.get(key) != value}
        return {key: value for key, value in found.items() if key not in BESIDE or value not in (PLAIN, {}, False)}

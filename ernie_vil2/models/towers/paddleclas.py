"""Any backbone of PaddleClas as an image tower: its pooled features, before the classifier, under our head.

The classifier is known by its width: the architecture is built for a number of classes that no other layer has, and
the one layer of that many outputs is left out. PaddleClas gives some parameters fixed names, which Paddle allows once
in a process, so each tower is built under a name space of its own.
"""

import re

import paddle
from paddle import nn

from ...checkpoints.libraries.paddleclas import architecture
from ...config.tower_fields import PaddleClasConfig
from ...errors import ConfigError
from ..layers import drop_path_rates
from .batch_norm import frozen_or_not
from .library_tower import Head, library_initialisers, without_tables

CLASSES = 1009
"""A prime, and the width of no layer"""
REFUSED = r"(?:^|unexpected keyword argument |multiple values for (?:keyword )?argument )'(\w+)'"


class PaddleClasTower(Head):
    """pixels float32 [B, 3, S, S] -> raw embedding [B, D]. `backbone` has PaddleClas's keys, without its classifier.

    Dropout inside the architecture stays as it is there.
    """

    def __init__(self, config: PaddleClasConfig):
        super().__init__(config)
        self.width, self.name = config.width, config.paddleclas
        with library_initialisers():
            self.backbone = build(config)
        width = leave_out_classifier(self.backbone, self.name)
        if width != config.width:
            raise ConfigError(
                f"PaddleClas's {self.name} has {width} pooled features and image_tower.width is {config.width}; set "
                f"width: {width}"
            )
        set_drop_path(self.backbone, config)
        frozen_or_not(self.backbone, config.batch_norm)
        without_tables(self.backbone)

    def forward(self, pixels: paddle.Tensor) -> paddle.Tensor:
        features = self.backbone(pixels)
        if not isinstance(features, paddle.Tensor) or features.ndim not in (2, 4) or features.shape[1] != self.width:
            raise ConfigError(
                f"PaddleClas's {self.name} does not end in {self.width} pooled features; choose another architecture"
            )
        return self.head(features.mean([2, 3]) if features.ndim == 4 else features)


def build(config: PaddleClasConfig) -> nn.Layer:
    """The architecture with CLASSES classes, at this image size and with this stochastic depth where it takes them."""
    make = architecture(config.paddleclas)
    options = {"class_num": CLASSES, "img_size": config.image_size, "drop_path_rate": config.drop_path}
    while True:
        try:
            with paddle.utils.unique_name.guard("paddleclas_"):
                return make(**options)
        except (TypeError, KeyError) as error:  # KeyError: an argument is repeated and Python cannot name the function
            refused = re.search(REFUSED, str(error))
            if refused is None or options.pop(refused[1], None) is None:
                raise ConfigError(f"PaddleClas's {config.paddleclas} cannot be built: {error}") from None


def leave_out_classifier(backbone: nn.Layer, name: str) -> int:
    """Put Identity in place of the one layer of CLASSES outputs; returns the width of what it is given."""
    found = []
    for parent in backbone.sublayers(include_self=True):
        for key, layer in parent.named_children():
            if isinstance(layer, nn.Linear) and layer.weight.shape[1] == CLASSES:
                found.append((parent, key, layer.weight.shape[0]))
            elif isinstance(layer, nn.Conv2D) and layer.weight.shape[0] == CLASSES:
                found.append((parent, key, layer.weight.shape[1]))
    if len(found) != 1:
        raise ConfigError(
            f"PaddleClas's {name} has {len(found)} classifiers and not 1, so its pooled features are not known; choose "
            "another architecture, or convert its weights to a tower of kind vit"
        )
    parent, key, width = found[0]
    setattr(parent, key, nn.Identity())
    return width


def set_drop_path(backbone: nn.Layer, config: PaddleClasConfig) -> None:
    """Stochastic depth as configured, whatever the architecture's default is; ConfigError where it has none."""
    layers = [layer for layer in backbone.sublayers() if type(layer).__name__ == "DropPath"]
    for layer, rate in zip(layers, drop_path_rates(config.drop_path, len(layers)), strict=True):
        layer.drop_prob = rate
    if config.drop_path and not layers:
        raise ConfigError(
            f"image_tower.drop_path is {config.drop_path}, but PaddleClas's {config.paddleclas} has no stochastic "
            "depth; set drop_path: 0"
        )

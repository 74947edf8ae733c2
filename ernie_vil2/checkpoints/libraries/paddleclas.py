"""Backbones of PaddleClas: which there are, and where their weights lie."""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING

from ...errors import ConfigError, nearest
from .importing import imported

if TYPE_CHECKING:
    from paddle import nn


def architecture(name: str) -> "Callable[..., nn.Layer]":
    """PaddleClas's function or class of that name; ConfigError with the nearest one when there is none."""
    backbones = imported("paddleclas.ppcls.arch.backbone", "PaddleClas")
    made = {key: value for key, value in vars(backbones).items() if key[0].isupper() and callable(value)}
    if name not in made:
        close = nearest(name, made)
        hint = f"did you mean {close!r}?" if close else "see the list of its model zoo"
        raise ConfigError(f"image_tower.paddleclas is {name!r}, which PaddleClas does not have; {hint}")
    return made[name]


def published_weights(name: str) -> str:
    """Path of the weights that PaddleClas publishes for an architecture, downloaded by it and not yet read."""
    urls = getattr(inspect.getmodule(architecture(name)), "MODEL_URLS", {})
    if name not in urls:
        raise ConfigError(f"PaddleClas publishes no weights of {name}; give image_tower.pretrained a .pdparams file")
    download = imported("paddleclas.ppcls.utils.download", "PaddleClas")
    try:
        return download.get_weights_path_from_url(urls[name])
    except Exception as error:  # whatever its downloader raises
        raise ConfigError(
            f"the weights of PaddleClas's {name} could not be fetched ({error}); fetch the file yourself and name it "
            "in image_tower.pretrained"
        ) from None

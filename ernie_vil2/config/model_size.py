"""How many parameters a configuration describes, known before anything is built: values that are each within their
bounds make models together that no machine holds."""

import math
from collections.abc import Mapping
from dataclasses import replace

from ..errors import ConfigError
from .tower_fields import MAX_DEPTH, EfficientNetConfig, ImageTowerConfig, TextTowerConfig, Tower
from .towers import KINDS, LIBRARIES

MOST_PARAMETERS = 20_000_000_000
"""80 GB in float32; the largest published dual encoders of images and texts have under 19 billion"""


def parameters(tower: Tower) -> int:
    """Parameters of a tower; of one that another library builds, about those of its embeddings, and its head; 0 of one
    whose layer alone knows its shapes."""
    if KINDS[tower.kind].manifest is None:
        return 0
    if isinstance(tower, EfficientNetConfig):
        return elements(tower) if sum(tower.stage_depths()) <= MAX_DEPTH else MOST_PARAMETERS + 1
    if tower.kind in LIBRARIES:
        return elements(tower) + (getattr(tower, "vocab_size", 0) + getattr(tower, "positions", 0)) * tower.width
    if not isinstance(tower, (ImageTowerConfig, TextTowerConfig)) or tower.depth < 2:
        return elements(tower)
    first, second = (elements(replace(tower, depth=depth)) for depth in (1, 2))
    return first + (second - first) * (tower.depth - 1)


def elements(tower: Tower) -> int:
    """Numbers in all tensors of a tower, which are listed one by one."""
    return sum(math.prod(shape) for shape in KINDS[tower.kind].manifest(tower).values())


def check_size(parts: Mapping[str, int]) -> None:
    """ConfigError where {part of a model: its parameters} are too many together."""
    total = sum(parts.values())
    if total > MOST_PARAMETERS:
        largest = max(parts, key=lambda name: parts[name])
        raise ConfigError(
            f"the model has {total:.1e} parameters, most of them in {largest}, and at most {MOST_PARAMETERS:.0e} are "
            f"sensible; lower the width, depth or other sizes of {largest}"
        )

"""Which kernels a step of the towers vit and ernie has, on what sizes, and how often."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import numpy as np

from ....config.run import RunConfig
from ....config.tower_fields import ImageTowerConfig, TextTowerConfig
from ....errors import ConfigError
from ...operations import has_counts

IMAGES = 8
"""Of a pass through a kernel, whose time counts for those of a batch: each of two threads has half of 16"""
SPREAD = 0.02
"""Of random weights"""


@dataclass(frozen=True)
class Kernel:
    """`count` calls in a step of one kind, on tokens [rows, length, width].

    outputs: of a Linear; activation: after it, "" for none; heads: of attention; joint: whether one Linear gives query,
    key and value; masked: whether padding may be masked; dropout: the rate.
    """

    name: str
    kind: str
    count: float
    rows: int
    length: int
    width: int
    outputs: int = 0
    activation: str = ""
    heads: int = 0
    joint: bool = False
    masked: bool = False
    dropout: float = 0.0

    def inputs(self) -> list[np.ndarray]:
        """What it reads and has gradients of, float32: tokens, then weights; the parts of attention."""
        rng, tokens = np.random.default_rng(0), (self.rows, self.length, self.width)
        shapes = {
            "norm": [tokens, (self.width,), (self.width,)],
            "linear": [tokens, (self.width, self.outputs), (self.outputs,)],
            "attention": [(*tokens[:2], 3 * self.width)] if self.joint else [tokens] * 3,
            "sum": [tokens, tokens],
            "dropout": [tokens],
        }[self.kind]
        return [
            rng.standard_normal(shape, np.float32) * (SPREAD if shape[0] == self.width else 1.0) for shape in shapes
        ]


def kernels(config: RunConfig, batch: int, length: int) -> list[Kernel]:
    """Those of the blocks of both towers for `batch` pairs; ConfigError for other towers."""
    if not has_counts(config.model):
        raise ConfigError(
            "kernels are measured of towers of kind vit and ernie, and this run has others; name another run"
        )
    image, text = config.model.image_tower, config.model.text_tower
    tokens = (image.image_size // image.patch_size) ** 2 + 1
    images = min(IMAGES, batch)
    return [
        *of_tower("image", image, images, tokens, image.depth * batch / images, joint=True),
        *of_tower("text", text, batch, length, text.depth, joint=False),
    ]


def of_tower(
    name: str, tower: ImageTowerConfig | TextTowerConfig, rows: int, length: int, blocks: float, joint: bool
) -> Iterator[Kernel]:
    """The kernels of `blocks` blocks."""
    kernel = partial(Kernel, rows=rows, length=length)
    width, hidden = tower.width, int(tower.width * tower.mlp_ratio)
    yield kernel(f"{name}: layer norm", "norm", 2 * blocks, width=width)
    if joint:
        yield kernel(f"{name}: query, key, value", "linear", blocks, width=width, outputs=3 * width)
    else:
        yield kernel(f"{name}: query, key or value", "linear", 3 * blocks, width=width, outputs=width)
    options = {"heads": tower.heads, "joint": joint, "masked": not joint, "dropout": tower.dropout}
    yield kernel(f"{name}: attention", "attention", blocks, width=width, **options)
    yield kernel(f"{name}: its output", "linear", blocks, width=width, outputs=width)
    options = {"outputs": hidden, "activation": tower.activation}
    yield kernel(f"{name}: hidden, {tower.activation}", "linear", blocks, width=width, **options)
    yield kernel(f"{name}: back to the width", "linear", blocks, width=hidden, outputs=width)
    yield kernel(f"{name}: residual sum", "sum", 2 * blocks, width=width)
    if tower.dropout:
        yield kernel(f"{name}: dropout", "dropout", 2 * blocks, width=width, dropout=tower.dropout)

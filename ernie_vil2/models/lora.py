"""Low-rank adaptation of the attention's matrices (LoRA, arXiv 2106.09685): x W + b + (alpha / rank) x A B.

The keys of the model's own weights stay as they are; `lora_a` [in, rank] and `lora_b` [rank, out] stand beside them.
The fused query, key and value of the image tower share one A.
"""

import numpy as np
import paddle
from paddle import nn

from ..config.run import LoraConfig
from ..config.towers import KINDS
from ..device import float32_copy
from ..errors import ConfigError
from ..keys import generator
from .dual_encoder import DualEncoder
from .layers import Linear


class LoraLinear(Linear):
    """A Linear with a low-rank update; it takes over the weight and the bias of `base`, [..., in] -> [..., out]."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, key: tuple[object, ...]):
        nn.Layer.__init__(self)  # no weights of its own: those of base
        self.name = None
        self.weight, self.bias = base.weight, base.bias
        inputs, outputs = base.weight.shape
        self.scale = alpha / rank
        zeros = nn.initializer.Constant(0.0)
        self.lora_a = self.create_parameter([inputs, rank], default_initializer=zeros)
        self.lora_b = self.create_parameter([rank, outputs], default_initializer=zeros)
        bound = inputs**-0.5
        self.lora_a.set_value(generator(*key).uniform(-bound, bound, [inputs, rank]).astype(np.float32))

    def forward(self, x: paddle.Tensor) -> paddle.Tensor:
        return super().forward(x) + paddle.matmul(paddle.matmul(x, self.lora_a), self.lora_b) * self.scale

    def merged(self) -> np.ndarray:
        """float32 array [in, out]: the weight with the update in it."""
        weight, first, second = (
            float32_copy(value).astype(np.float64) for value in (self.weight, self.lora_a, self.lora_b)
        )
        return (weight + self.scale * (first @ second)).astype(np.float32)


def add_lora(model: DualEncoder, config: LoraConfig, seed: int = 0) -> None:
    """Give the attention of the towers in `config.towers` low-rank updates, once the weights to start from are loaded.

    All other parameters of these towers are frozen; temperatures and the other tower are left as they are. B starts at
    zero, so the function is the same as before; A depends on (seed, name). Rank 0 changes nothing.
    """
    if not config.rank:
        return
    for tower in config.towers:
        name = model.config.towers()[tower].kind
        kind = KINDS[name]
        if not kind.adapted:
            raise ConfigError(
                f"lora.towers has {tower}, but a tower of kind {name} has no attention to adapt; leave it out"
            )
        layers = getattr(model, kind.prefix.removesuffix("."))
        for parameter in layers.parameters():
            parameter.stop_gradient = True
        named, ends = dict(layers.named_sublayers(include_self=True)), tuple(f".{end}" for end in kind.adapted)
        places = [place for place in named if f".{place}".endswith(ends)]
        other = [place for place in places if not isinstance(named[place], nn.Linear)]
        if other or not places:
            what = f"{other[0]} is no Linear" if other else f"no layer of it is called {' or '.join(kind.adapted)}"
            raise ConfigError(
                f"lora.towers has {tower}, but of the tower of kind {name} {what}; correct `adapted` of its TowerKind, "
                "or leave it out"
            )
        for place in places:
            parent, _, part = place.rpartition(".")
            key = (seed, tower, parent, part, "lora")
            setattr(named[parent], part, LoraLinear(named[place], config.rank, config.alpha, key))


def adapted_layers(model: nn.Layer) -> dict[str, LoraLinear]:
    """{name: LoraLinear} of a model."""
    return {name: layer for name, layer in model.named_sublayers() if isinstance(layer, LoraLinear)}


def lora_parameters(model: nn.Layer) -> dict[str, paddle.Tensor]:
    """{name: parameter} of all A and B, as in `model.named_parameters()`."""
    return {name: value for name, value in model.named_parameters() if name.endswith((".lora_a", ".lora_b"))}


def merged_state(model: nn.Layer) -> dict[str, np.ndarray]:
    """{key: float32 array} in the release's keys and shapes, with every update merged; also of a model without any."""
    added, merged = set(lora_parameters(model)), adapted_layers(model)
    state = {}
    for key, value in model.state_dict().items():
        if key in added:
            continue
        layer = merged.get(key.removesuffix(".weight")) if key.endswith(".weight") else None
        state[key] = float32_copy(value) if layer is None else layer.merged()
    return state
